"""An OpenAI-compatible server with a script for a model: real HTTP, real JSON, and the ways in which servers differ.

``FakeServer(say)`` asks ``say(request)`` for the model's text (or a ``Said``, a ``Failure``, or a ``Raw``). It stops at
stop strings as vLLM does, and, when told to, takes thoughts and tool calls out of the text as vLLM's parsers do.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token of a message, and how likely the model finds it and others in its place."""

    text: str
    log_prob: float
    likely: dict[str, float] = field(default_factory=dict)
    """Token -> log-probability."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """A model's message."""

    text: str
    finish_reason: str = "stop"
    delay_s: float = 0.0
    tokens: tuple[Token, ...] = ()
    """Told where a request asks for log-probabilities."""
    prompt_log_probs: tuple[float, ...] | None = None
    """Of the tokens of the prompt but the first, as vLLM tells them."""
    prompt_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An answer that is none; status 0 drops the connection without one."""

    status: int
    message: str = "no"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Raw:
    """An answer byte by byte, for what no sound server sends."""

    body: bytes | Iterable[bytes] = b""
    """Its pieces are sent as they come; then the connection is closed."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    """Before each piece."""


Say = Callable[[dict[str, Any]], "str | Said | Failure | Raw"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the default of 5 the system resets connections that come in a burst


class FakeServer:
    """Runs from ``with`` to its end."""

    def __init__(
        self,
        say: Say,
        *,
        parses: bool = False,
        tells_stop: bool = True,
        key: str | None = None,
        port: int = 0,
        models: Raw | None = None,
        log_prob: Callable[[dict[str, Any]], float] | None = None,
        token_s: float = 0.0,
    ) -> None:
        """``log_prob`` says how probable the one token of an answer is, where a request wants to know."""
        self.models, self.log_prob, self.token_s = models, log_prob, token_s
        self.say, self.parses, self.tells_stop, self.key = say, parses, tells_stop, key
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self._server = _Server(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _handler(outer) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (two selves)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if outer.models:
                    return self.answer_raw(outer.models)
                return self.answer(200, {"object": "list", "data": []})

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.key and self.headers["Authorization"] != f"Bearer {outer.key}":
                    return self.answer(401, {"error": {"message": "wrong key"}})
                outer.requests.append(request)
                outer.times.append(time.monotonic())
                said = outer.say(request)
                said = Said(text=said) if isinstance(said, str) else said
                if isinstance(said, Raw):
                    return self.answer_raw(said)
                time.sleep(said.delay_s)
                if isinstance(said, Said) and request.get("stream"):
                    return self.answer_raw(streamed(outer.completion(request, said), outer.token_s))
                if isinstance(said, Said):
                    return self.answer(200, outer.completion(request, said))
                if said.status == 0:
                    self.close_connection = True
                    return None
                return self.answer(said.status, {"error": {"message": said.message}}, said.headers)

            def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with suppress(ConnectionError):  # the client may have given up waiting
                    self.wfile.write(content)

            def answer_raw(self, raw: Raw) -> None:
                self.close_connection = True
                self.send_response(raw.status)
                headers = {"Content-Type": "application/json", "Connection": "close", **raw.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):
                    for piece in [raw.body] if isinstance(raw.body, bytes) else raw.body:
                        time.sleep(raw.pause_s)
                        self.wfile.write(piece)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def completion(self, request: dict[str, Any], said: Said) -> dict[str, Any]:
        text, finish_reason, stopped_at = until_stop(said, request.get("stop", []))
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self.parses:
            message = taken_apart(
                text, tools=bool(request.get("tools")) and request.get("tool_choice") != "none"
            )
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        if message.get("tool_calls"):
            choice["finish_reason"] = "tool_calls"
        if self.tells_stop:
            choice["stop_reason"] = stopped_at
        if said.tokens and request.get("logprobs"):
            choice["logprobs"] = {"content": [token_log_prob(token) for token in said.tokens]}
        elif self.log_prob and request.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": text, "logprob": self.log_prob(request)}]}
        usage = {
            "prompt_tokens": said.prompt_tokens or len(str(request["messages"])) // 4,
            "completion_tokens": len(said.text) // 4 + 1,
        }
        usage["total_tokens"] = sum(usage.values())
        scored = said.prompt_log_probs
        places = (
            None if scored is None else [None, *({"7": {"logprob": value, "rank": 1}} for value in scored)]
        )
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [choice],
            "usage": usage,
            **({} if places is None else {"prompt_logprobs": places}),
        }


def token_log_prob(token: Token) -> dict[str, Any]:
    """A token's entry in a reply."""
    likely = [{"token": text, "logprob": log_prob} for text, log_prob in token.likely.items()]
    return {"token": token.text, "logprob": token.log_prob, "top_logprobs": likely}


def streamed(whole: dict[str, Any], token_s: float) -> Raw:
    """A completion as a stream of events, as vLLM sends it: the text in pieces, the counts of tokens last."""
    [choice] = whole["choices"]
    message = choice["message"]
    rest = {name: choice[name] for name in choice.keys() - {"message", "logprobs"}}
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for name in ("reasoning", "content"):
        text = message.get(name) or ""
        deltas += [{name: text[start : start + 3]} for start in range(0, len(text), 3)]
    for number, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        deltas.append(
            {"tool_calls": [{"index": number, "function": {"name": function["name"], "arguments": ""}}]}
        )
        deltas.append({"tool_calls": [{"index": number, "function": {"arguments": function["arguments"]}}]})
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({"choices": [{**rest, "delta": {}, "logprobs": choice.get("logprobs")}]})
    events.append({"choices": [], "usage": whole["usage"]})
    lines = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    return Raw(
        body=[*lines, b"data: [DONE]\n\n"], headers={"Content-Type": "text/event-stream"}, pause_s=token_s
    )


def until_stop(said: Said, stop: Sequence[str]) -> tuple[str, str, str | None]:
    """The text before the first stop string, why it ends, and that string."""
    found = [(said.text.index(ending), ending) for ending in stop if ending in said.text]
    if not found:
        return said.text, said.finish_reason, None
    position, ending = min(found)
    return said.text[:position], "stop", ending


def taken_apart(text: str, *, tools: bool) -> dict[str, Any]:
    """A message as vLLM's reasoning parser, and with ``tools`` its hermes tool-call parser, make it."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "reasoning": None, "tool_calls": []}
    if text.startswith("<think>"):
        thought, closed, rest = text.removeprefix("<think>").partition("</think>")
        message |= {"reasoning": thought, "content": rest if closed and rest else None}
    content = message["content"] or ""
    calls = re.findall(r"<tool_call>(.*?)</tool_call>|<tool_call>(.*)", content, re.DOTALL)
    if tools and calls:
        try:
            found = [json.loads(closed or opened) for closed, opened in calls]
            functions = [{"name": c["name"], "arguments": json.dumps(c["arguments"])} for c in found]
        except (ValueError, KeyError, TypeError):
            return message  # what is no call stays text
        message["content"] = content.partition("<tool_call>")[0] or None
        message["tool_calls"] = [
            {"id": f"c{n}", "type": "function", "function": function} for n, function in enumerate(functions)
        ]
    return message
