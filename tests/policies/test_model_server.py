"""A server that sends anything at all: a bad reply costs its episode, what is no server ends the run, in one line."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from driver_lab import QUESTION, rollouts
from fake_openai import Failure, FakeServer, Raw
from tiny_corpus import index_of

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.policies.server.model_server import ModelServer, ServerDown, ServerSettings
from drag_rl.serving.bounded_http import MAX_REPLY_BYTES
from drag_rl.serving.vllm_process import answers
from drag_rl.star.collect import Job
from drag_rl.trajectories.rows import parse_row, write_row
from drag_rl.types import Search, StopReason

ANSWER = "<answer>The first.</answer>"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return index_of(tmp_path_factory.mktemp("garbage"), ["a red fox runs", "a blue fox sleeps"])


def played(server, index, config=None, **settings):
    done = []
    rollouts(server, index, config or EpisodeConfig(), **{"retries": 0, **settings}).run(
        [Job(question=QUESTION, sample=0)], lambda _, trajectory: done.append(trajectory), 1
    )
    return done[0]


def message(**fields):
    return reply(message={"role": "assistant", "content": "x", **fields})


def reply(**fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}
    return Raw(body=json.dumps({"choices": [{**choice, **fields}]}).encode())


def whole(**fields):
    good = json.loads(reply().body)
    return Raw(body=json.dumps({**good, **fields}).encode())


def packed(body, encoding="gzip"):
    return Raw(body=body, headers={"Content-Encoding": encoding})


DEEP = b"[" * 100_000
CUSTOM = {"id": "c", "type": "custom", "custom": {"name": "search", "input": "fox"}}

NO_JSON = {
    "a page": Raw(body=b"<!doctype html><h1>Welcome</h1>", headers={"Content-Type": "text/html"}),
    "null": Raw(body=b"null"),
    "a list": Raw(body=b"[]"),
    "a number": Raw(body=b"1"),
    "a text": Raw(body=b'"hello"'),
    "nothing": Raw(),
    "no content": Raw(status=204),
    "half of it": Raw(body=reply().body[:-9]),
    "deep": Raw(body=DEEP),
    "deep inside": Raw(body=b'{"choices": ' + DEEP + b"]" * 100_000 + b"}"),
    "no UTF-8": Raw(body=b'{"choices": [{"message": {"content": "\xe9"}}]}'),
    "bytes": Raw(body=bytes(range(256))),
    "a number without end": Raw(body=b'{"choices": [], "created": ' + b"9" * 5000 + b"}"),
    "events": Raw(body=b'data: {"choices": []}\n\ndata: [DONE]\n\n'),
}
NO_COMPLETION = {
    "no choices": (Raw(body=b"{}"), "choices: Field required"),
    "an error": (
        Raw(body=b'{"error": {"message": "no credit"}}'),
        "choices: Field required .*no credit",
    ),
    "choices null": (whole(choices=None), "choices: Input should be a valid list"),
    "choices empty": (whole(choices=[]), "at least 1 item"),
    "choices of null": (whole(choices=[None]), "choices.0: "),
    "choices by name": (whole(choices={"0": 1}), "choices: "),
    "no message": (whole(choices=[{"text": "a"}]), "message: Field required"),
    "message null": (reply(message=None), "message: "),
    "message a text": (reply(message="hello"), "message: "),
    "content a list": (message(content=[{"type": "text", "text": "a"}]), "content: .* string"),
    "content a number": (message(content=7), "content: .* string"),
    "content by name": (message(content={"text": "a"}), "content: .* string"),
    "thought a list": (message(reasoning=["a"]), "reasoning: .* string"),
    "custom call": (message(tool_calls=[CUSTOM]), "tool_calls.0.function: Field required"),
    "calls by name": (message(tool_calls={"a": 1}), "tool_calls: "),
    "call of null": (message(tool_calls=[None]), "tool_calls.0: "),
    "call without name": (
        message(tool_calls=[{"function": {"name": None, "arguments": "{}"}}]),
        "function.name",
    ),
    "arguments no text": (
        message(tool_calls=[{"function": {"name": "a", "arguments": {}}}]),
        "function.arguments",
    ),
    "finish a number": (reply(finish_reason=3), "finish_reason: "),
    "finish unknown": (reply(finish_reason="x" * 9000), "ended the message for the reason 'xxx"),
    "stop reason a list": (reply(stop_reason=[1]), "stop_reason"),
    "tokens NaN": (whole(usage={"prompt_tokens": float("nan")}), "prompt_tokens: "),
    "tokens below 0": (whole(usage={"prompt_tokens": -1}), "prompt_tokens: "),
    "tokens too many": (whole(usage={"completion_tokens": 10**30}), "completion_tokens: "),
    "usage a list": (whole(usage=[1]), "usage: "),
    "badly packed": (packed(b"no gzip"), "cannot be unpacked"),
    "a bomb": (packed(gzip.compress(bytes(MAX_REPLY_BYTES + 1))), "longer than 16 MiB"),
    "without end": (Raw(body=itertools.repeat(b" " * (1 << 20))), "longer than 16 MiB"),
    "HTTP 400 of garbage": (Raw(status=400, body=DEEP), "HTTP 400: "),
    "HTTP 400 of a page": (Raw(status=405, body=b"<html>" + b"a" * 9000), "HTTP 405: <html>"),
    "HTTP 422 of a list": (
        Raw(status=422, body=b'{"detail": [{"msg": "x"}], "message": {"a": 1}}'),
        "HTTP 422: ",
    ),
    "HTTP 400, code by name": (
        Raw(status=400, body=b'{"error": {"message": [], "code": {"a": 1}}}'),
        "HTTP 400: ",
    ),
    "HTTP 418": (Raw(status=418, body=b'{"error": {"message": "a\\ud800b"}}'), "HTTP 418: a\ufffdb"),
    "HTTP 304": (Raw(status=304), "HTTP 304: "),
    "HTTP 500 of bytes": (Raw(status=500, body=bytes(range(256))), "HTTP 500: "),
}


def test_a_bad_reply_costs_its_episode_only(index):
    """One run over all of them: every bad reply is a row that can be written, and the run goes on to its end."""
    garbage = {name: (answer, "the reply is ") for name, answer in NO_JSON.items()} | NO_COMPLETION
    names = ["good", *garbage, "good again"]

    def say(request):
        return garbage.get(request["messages"][-1]["content"], (ANSWER,))[0]

    jobs = [Job(question=replace(QUESTION, question_id=name, text=name), sample=0) for name in names]
    done = {}
    with FakeServer(say) as server:
        plan = rollouts(server, index, EpisodeConfig(), retries=0)
        plan.run(jobs, lambda job, trajectory: done.update({job.question.question_id: trajectory}), 8)
    assert set(done) == set(names)
    for name, (_, says) in garbage.items():
        row = done[name]
        assert row.outcome.stop_reason == StopReason.ERROR and row.outcome.turns == (), name
        assert re.search(says, row.error) and len(row.error) < 400 and "\n" not in row.error, (
            name,
            row.error,
        )
        assert parse_row(write_row(row).encode().decode(), name) == row
    assert {done[name].outcome.stop_reason for name in ("good", "good again")} == {StopReason.ANSWERED}


def test_a_server_whose_list_of_models_is_no_json_either_is_none():
    async def ask_all(server, client):
        for name, garbage in NO_JSON.items():
            server.say, server.models = lambda _, garbage=garbage: garbage, garbage
            with pytest.raises(ServerDown, match="is no OpenAI-compatible one: its reply is ") as down:
                await client.complete({"messages": []})
            assert "\n" not in str(down.value), name
        await client.close()

    with FakeServer(str) as server:
        settings = ServerSettings(base_url=server.url, model="m", api_key="k", retries=0)
        asyncio.run(ask_all(server, ModelServer(settings)))


@pytest.mark.parametrize(
    "sound",
    [
        replace(reply(), headers={"Content-Type": "text/html; charset=base64"}),
        replace(reply(), body=reply().body.decode().encode("utf-16")),
        packed(gzip.compress(reply().body)),
        whole(usage=None),
        whole(usage={}, service_tier=DEEP.decode()[:100], unknown=[1]),
        reply(finish_reason=None, logprobs={"content": None}),
    ],
)
def test_what_can_be_read_is_read(sound, index):
    with FakeServer(lambda _: sound) as server:
        assert played(server, index).outcome.answer.text == "The first."


@pytest.mark.parametrize(
    ("fields", "tools"),
    [
        ({"content": "<search>red \ud800 fox</search>"}, False),
        ({"content": "<search>red fox</search>", "reasoning": "hm \udfff"}, False),
        (
            {
                "content": '<tool_call>{"name": "search", "arguments": {"query": "red \\ud800 fox"}}</tool_call>'
            },
            True,
        ),
        (
            {
                "content": None,
                "tool_calls": [
                    {"function": {"name": "search", "arguments": '{"query": "red fox \\udc00 \udc01"}'}}
                ],
            },
            True,
        ),
    ],
)
@pytest.mark.parametrize("dialect", ["vllm", "openai"])
def test_half_a_character_is_replaced_and_the_row_can_be_written_and_sent_back(fields, tools, dialect, index):
    script = iter([message(**fields), "Done." if tools else ANSWER])
    config = EpisodeConfig(action_format="tools" if tools else "xml")
    with FakeServer(lambda _: next(script)) as server:
        plan, done = rollouts(server, index, config, dialect), []
        plan.run([Job(question=QUESTION, sample=0)], lambda _, trajectory: done.append(trajectory), 1)
    (row,) = done
    assert row.outcome.stop_reason == StopReason.ANSWERED and row.outcome.turns[0].gold_ranks == (1,)
    assert isinstance(row.outcome.turns[0].action, Search)
    assert parse_row(write_row(row).encode().decode(), "row") == row


def test_an_attempt_ends_in_time_however_the_bytes_come(index):
    drip = Raw(body=itertools.repeat(b" "), pause_s=0.05)
    with FakeServer(lambda _: drip) as server:
        started = time.monotonic()
        done = played(server, index, timeout_s=0.3)
        assert done.error == "no whole reply within 0.3 s" and time.monotonic() - started < 5
        slow = (bytes([byte]) for byte in reply().body)
        server.say = lambda _: Raw(body=slow, pause_s=0.0005)
        assert played(server, index, timeout_s=20).outcome.stop_reason == StopReason.ANSWERED


@contextmanager
def speaking(*pieces, pause_s=0.0):
    """The address of something that sends these bytes to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak():
            with suppress(OSError):  # until the test is over
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(ConnectionError):
                        connection.recv(65536)
                        for piece in pieces:
                            connection.sendall(piece)
                            time.sleep(pause_s)

        threading.Thread(target=speak, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "line", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000, b"\x15"]
)
def test_what_speaks_no_http_is_no_server(line):
    async def ask(url):
        server = ModelServer(ServerSettings(base_url=url, model="m", api_key="k", retries=0))
        await server.complete({"messages": []})

    with speaking(line) as url, pytest.raises(ServerDown, match="cannot be reached: "):
        asyncio.run(ask(url))


def test_headers_that_drip_are_late_too():
    with speaking(b"HTTP/1.1 200 OK\r\nX: ", *[b"a"] * 200, pause_s=0.05) as url:
        started = time.monotonic()
        assert not asyncio.run(answers(url, 0.3)) and time.monotonic() - started < 5


def test_what_is_asked_for_its_health_is_waited_for_in_all_no_longer_than_said():
    with FakeServer(str, models=Raw(body=b"ok")) as server:
        assert asyncio.run(answers(server.url, 5))
        server.models = Raw(status=503)
        assert not asyncio.run(answers(server.url, 5))
        server.models = Raw(body=itertools.repeat(b" "), pause_s=0.05)
        started = time.monotonic()
        assert not asyncio.run(answers(server.url, 0.3)) and time.monotonic() - started < 5
    assert not asyncio.run(answers(server.url, 5))


def test_a_server_that_sends_requests_elsewhere_is_said_and_nothing_is_sent_there(index):
    with FakeServer(lambda _: ANSWER) as other:
        moved = Failure(status=308, headers={"Location": other.url})
        with FakeServer(lambda _: moved) as server, pytest.raises(ServerDown, match=f"on to {other.url}"):
            played(server, index)
        assert not other.requests


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "localhost:8000/v1",
        "ftp://h/v1",
        "http://h:99999/v1",
        "http://h:0/v1",
        "http://h:x/v1",
        "http://[::1/v1",
        "http://]/v1",
        "http:///v1",
        "http://a b/v1",
        "http://h\n/v1",
        "http://\x00/v1",
        "http://a..b/v1",
        "http://" + "a" * 70 + "/v1",
        "http://\ud800/v1",
    ],
)
def test_an_address_that_is_none_is_one_line(address):
    with pytest.raises(InputError, match=r"--base-url .*: is no address such as http://localhost:8000/v1"):
        ModelServer(ServerSettings(base_url=address, model="m", api_key="k"))


def test_a_key_or_a_proxy_that_cannot_be_is_one_line(monkeypatch):
    with pytest.raises(InputError, match="OPENAI_API_KEY: has characters") as error:
        ModelServer(ServerSettings(base_url="http://h/v1", model="m", api_key="secret\n"))
    assert "secret" not in str(error.value)
    monkeypatch.setenv("HTTP_PROXY", "nonsense://h:1")
    with pytest.raises(InputError, match=r"no way there: .*HTTP_PROXY"):
        ModelServer(ServerSettings(base_url="http://h/v1", model="m", api_key="k"))
