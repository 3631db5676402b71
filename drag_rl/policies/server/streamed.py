"""A chat completion that came as a stream of events, put together; and when its parts came.

A stream is read whole before anything is made of it. It is asked for only where somebody wants to know when the first
token came (``drag ask --timings``).
"""

from __future__ import annotations

import json
from typing import Any

from drag_rl.policies.server.completion import Completion, NoCompletion, NotJson, read_completion

STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
"""What asks for a stream, and for the counts of tokens at its end."""
NOT_STREAMED = frozenset({"prompt_logprobs", "n"})
"""Fields of a request whose answer a stream does not hold, or holds several times."""
_PARTS = ("content", "reasoning", "reasoning_content")


def read_stream(body: bytes) -> Completion:
    """The completion in the events of a reply.

    Raises NotJson for a body without events, NoCompletion for events that are something else.

    >>> read_stream(b'data: {"choices": [{"delta": {"content": "Hel"}}]}\\n\\n'
    ...             b'data: {"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}]}\\n\\n'
    ...             b'data: [DONE]\\n\\n').choices[0].message.content
    'Hello'
    """
    events = [line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")]
    if not events:
        return read_completion(body)  # a server that does not stream, or says what is wrong
    message: dict[str, Any] = {}
    choice: dict[str, Any] = {"message": message}
    whole: dict[str, Any] = {"choices": [choice]}
    for event in events:
        if event != b"[DONE]":
            _add(_object(event), whole)
    calls = message.pop("calls", {})
    if calls:
        message["tool_calls"] = [{"function": function} for _, function in sorted(calls.items())]
    return read_completion(json.dumps(whole).encode())


def _object(event: bytes) -> dict[str, Any]:
    try:
        found = json.loads(event)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NotJson(f"has an event that is no JSON object but {event[:100]!r}")
    return found


def _add(event: dict[str, Any], whole: dict[str, Any]) -> None:
    """Add what one event says. Raises NoCompletion for one that does not fit."""
    choice = whole["choices"][0]
    try:
        if "error" in event:
            raise TypeError(event["error"])
        if event.get("usage") is not None:
            whole["usage"] = event["usage"]
        for part in event["choices"]:
            if part.get("index", 0) == 0:
                _add_delta(part.get("delta") or {}, choice["message"])
                choice |= {
                    name: part[name]
                    for name in ("finish_reason", "stop_reason")
                    if part.get(name) is not None
                }
                if "stop_reason" in part:
                    choice.setdefault("stop_reason", None)
                if part.get("logprobs") is not None:
                    told = choice.setdefault("logprobs", {"content": []})
                    told["content"] += part["logprobs"].get("content") or []
    except (KeyError, TypeError, AttributeError) as error:
        raise NoCompletion(f"has an event that is no part of a chat completion: {str(error)[:200]}") from None


def _add_delta(delta: dict[str, Any], message: dict[str, Any]) -> None:
    for name in _PARTS:
        if delta.get(name) is not None:
            message[name] = message.get(name, "") + delta[name]
    for call in delta.get("tool_calls") or ():
        function = message.setdefault("calls", {}).setdefault(call["index"], {"name": "", "arguments": ""})
        for name in function:
            function[name] += (call.get("function") or {}).get(name) or ""
