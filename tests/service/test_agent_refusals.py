"""What ``drag agent`` does not answer, and how it says so."""

from __future__ import annotations

import json
import socket
import threading

import openai
import pytest
from agent_lab import QUESTION, client, health, idle, post, serving, slowly, streamed
from fake_openai import Failure
from handoff_lab import cites_first


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"nonsense", 422, "JSON"),
        (b"{}", 422, "messages: Field required"),
        (b'{"messages": []}', 422, "messages: "),
        (b'{"messages": [{"role": "system", "content": "x"}]}', 422, "holds no text"),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', 422, "holds no text"),
        (b'{"messages": [{"role": "user", "content": " "}]}', 422, "holds no text"),
        (b'{"messages": [{"role": "user", "content": "x"}], "n": 2}', 422, "n: "),
        (b'{"messages": [{"role": "user", "content": "x"}], "tools": [{}]}', 422, "tools: "),
        (b'{"messages": [{"role": "user", "content": "' + b"x" * 30_000 + b'"}]}', 422, "30000 characters"),
        (b'{"messages": [{"role": "user", "content": "x"}], "drag": {"scope": 1}}', 422, "drag.scope: "),
        (b'{"messages": [{"role": "user", "content": "x"}], "drag": {"scope": "x"}}', 422, "document 'x'"),
        (b" " * 3_000_000, 413, "longer than"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(agent_data, body, status, said):
    with serving(agent_data) as (url, *_):
        assert (found := post(url, body))[0] == status and said in found[1] and "\n" not in found[1]


def test_a_server_that_fails_or_is_slow_is_told_as_what_it_is(agent_data):
    body = json.dumps({"messages": [{"role": "user", "content": QUESTION}]}).encode()
    with serving(agent_data, large=lambda _: Failure(status=400, message="no")) as (url, *_):
        assert post(url, body) == (502, "a model's server failed: HTTP 400: no")
    with serving(agent_data, large=slowly(cites_first, 5), timeout_s=0.4) as (url, *_):
        assert post(url, body) == (504, "no answer within 0.4 s")
        with pytest.raises(openai.APIError, match="no answer within"):
            list(streamed(url))
        assert idle(url)
    with serving(agent_data) as (url, small, _):
        small.stop()
        status, said = post(url, body)
        assert status == 502 and "cannot be reached" in said


def test_too_many_questions_are_told_to_come_again(agent_data):
    asked = threading.Event()

    def large(request):
        assert asked.wait(10)
        return cites_first(request)

    with serving(agent_data, large=large, concurrency=1) as (url, *_):
        first = iter(streamed(url))
        next(first)
        with pytest.raises(openai.InternalServerError, match="come again"):
            client(url).chat.completions.create(model="drag", messages=[{"role": "user", "content": "?"}])
        asked.set()
        assert list(first)[-1].drag["event"] == "end"


def test_strangers_are_refused(agent_data):
    with serving(agent_data, token="secret") as (url, *_):
        with pytest.raises(openai.AuthenticationError, match="token"):
            client(url).models.list()
        body = json.dumps({"messages": [{"role": "user", "content": QUESTION}]}).encode()
        assert post(url, body)[0] == 401
        assert post(url, body, Authorization="Bearer secret")[0] == 200
        assert health(url)["status"] == "ok"


def test_what_a_page_of_another_site_could_send_is_refused(agent_data):
    body = json.dumps({"messages": [{"role": "user", "content": QUESTION}]}).encode()
    with serving(agent_data) as (url, *_):
        for plain in ("text/plain", "application/x-www-form-urlencoded", ""):
            status, said = post(url, body, **{"Content-Type": plain})
            assert status == 415 and "application/json" in said
        assert post(url, body, **{"Content-Type": "application/json; charset=utf-8"})[0] == 200


def test_a_body_that_does_not_come_is_waited_for_only_so_long(agent_data):
    with serving(agent_data, body_timeout_s=0.3) as (url, *_):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as slow:
            slow.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            assert b" 408 " in slow.recv(4096)
