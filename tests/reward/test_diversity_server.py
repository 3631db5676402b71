"""A diversity model's server may send anything and take any time: a training ends in one line, soon."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from reward_outcomes import outcome_of, search

from drag_rl.errors import InputError
from reward.group import GroupConfig, distances_of

ASKED = [outcome_of([search(1, None, query=query)]) for query in ("merge", "join")]


@pytest.fixture
def serve():
    """Starts a server that reads a request, and then sends what it is given, with a pause after each part."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def start(parts, pause_s=0.0):
        def answer():
            with listener.accept()[0] as client:
                client.recv(1 << 16)
                for part in parts:
                    if done.wait(pause_s):
                        return
                    try:
                        client.sendall(part)
                    except OSError:
                        return

        threading.Thread(target=answer, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    done.set()
    listener.close()


def ask(server, *, classifier=False, timeout_s=20.0):
    config = GroupConfig(
        distance="vllm", model="judge", server=server, classifier=classifier, timeout_s=timeout_s
    )
    return distances_of(config)(ASKED)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.parametrize("classifier", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"null",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": {"index": 0}}',
        b'{"data": [1, 2]}',
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": [1.0], "score": 0.5}]}',
        b'{"data": [{"index": 0, "embedding": [1.0], "score": null}, {"index": 1, "embedding": "a"}]}',
        b'{"data": [{"index": 0, "embedding": [NaN], "score": NaN}, {"index": 1, "embedding": [1], "score": 1}]}',
        b'{"data": [{"index": 0, "embedding": [1, 2], "score": 0}, {"index": "x", "embedding": [1], "score": 1}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_garbage_is_one_line(serve, body, classifier):
    with pytest.raises(InputError, match="server does not answer as vLLM does") as failed:
        ask(serve([OK + body]), classifier=classifier)
    assert "\n" not in str(failed.value) and len(str(failed.value)) < 400


@pytest.mark.parametrize(
    "head",
    [b"nonsense\r\n\r\n", b"HTTP/1.1 500 Oops\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"],
)
def test_what_is_no_http_is_one_line(serve, head):
    with pytest.raises(InputError, match="server does not answer as vLLM does"):
        ask(serve([head]))


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n", OK])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(serve, start):
    started = time.monotonic()
    with pytest.raises(InputError, match=r"no whole answer within 0\.3 s"):
        ask(serve([start, *[b"x"] * 10_000], pause_s=0.02), timeout_s=0.3)
    assert time.monotonic() - started < 15, "it would have sent for minutes"


@pytest.mark.parametrize("server", ["http://h:99999", "http://[::1", "http://a b"])
def test_an_address_that_is_none_is_one_line(server):
    with pytest.raises(InputError, match="server does not answer as vLLM does"):
        ask(server)
