"""The body of ``POST /v1/chat/completions``, as far as a searcher reads it: the question, and how to answer.

The question is the last message of the user. Earlier messages are not read: a searcher is trained on single questions.
Fields that steer a model's words (``temperature``, ``max_tokens`` ...) are accepted and not used, as what the searcher
does is what it was trained to do; ``tools`` are refused, for it calls none but its own. A field of ours is
``"drag": {"scope": "DOCUMENT"}``: the question is asked of this document, and search stays in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from drag_rl.errors import InputError

MAX_QUESTION_CHARS = 20_000


class _Message(BaseModel):
    role: str
    content: str | list[dict[str, Any]] | None = None


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Ours(BaseModel):
    scope: str = ""


class _Body(BaseModel):
    model: str = ""
    messages: Annotated[list[_Message], Field(min_length=1, max_length=1000)]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    n: Literal[1] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    drag: _Ours | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequest:
    """What a client asks."""

    question: str
    stream: bool
    """Whether steps are sent as they happen."""
    usage: bool
    """Whether a stream ends with the counts of tokens."""
    scope: str = ""
    """The document that the question is asked of; empty for the whole corpus."""


def read_ask_request(body: bytes) -> AskRequest:
    """What a body asks. Raises InputError in one line.

    >>> read_ask_request(b'{"messages": [{"role": "user", "content": "Why?"}], "stream": true}')
    AskRequest(question='Why?', stream=True, usage=False, scope='')
    """
    try:
        read = _Body.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(" ".join(f"{where}: {first['msg']}".split()).removeprefix(": ")) from None
    question = next((message for message in reversed(read.messages) if message.role == "user"), None)
    text = _text(question.content).strip() if question else ""
    if not text:
        raise InputError("messages: the last message of the user holds no text, which is the question")
    if len(text) > MAX_QUESTION_CHARS:
        raise InputError(
            f"messages: the question has {len(text)} characters; {MAX_QUESTION_CHARS} are allowed"
        )
    options = read.stream_options
    return AskRequest(
        question=text,
        stream=read.stream,
        usage=bool(options and options.include_usage),
        scope=read.drag.scope if read.drag else "",
    )


def _text(content: str | list[dict[str, Any]] | None) -> str:
    """The text of a message, which may be in parts."""
    if not isinstance(content, list):
        return content or ""
    texts = (part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str))
