"""A server's chat completion, read as what it is: bytes from elsewhere, of which nothing is taken for granted."""

from __future__ import annotations

import json
import re
from typing import Self

from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from drag_rl.policies.base import MessageTiming

_SURROGATES = re.compile(r"[\ud800-\udfff]")


class NotJson(ValueError):  # noqa: N818 (what it is, not whose fault)
    """A reply that is no JSON object, so that its sender may be no OpenAI-compatible server at all."""


class NoCompletion(ValueError):  # noqa: N818
    """A JSON object that is no chat completion."""


class Function(BaseModel):
    """What a tool call calls; calls of another kind have none, and are refused."""

    name: str
    arguments: str
    """JSON text, as the model wrote it."""


class ToolCall(BaseModel):
    """A tool call that the server took out of the text."""

    function: Function


class AssistantMessage(BaseModel):
    """What the model said, taken apart."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    """The older name of ``reasoning``."""
    tool_calls: list[ToolCall] | None = None


class Likely(BaseModel):
    """A token that could have stood in a place."""

    token: str
    logprob: float
    """Natural logarithm of its probability."""


class TokenLogProb(BaseModel):
    """A token that the model wrote."""

    token: str = ""
    logprob: float
    """Natural logarithm of its probability."""
    top_logprobs: list[Likely] = []
    """The likeliest tokens of its place, where a request asked for them."""


class LogProbs(BaseModel):
    """What a server says of the tokens, where it was asked."""

    content: list[TokenLogProb] | None = None


class Choice(BaseModel):
    """One of the messages that were asked for."""

    message: AssistantMessage
    logprobs: LogProbs | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """The stop string that ended the message; only vLLM tells it."""

    @property
    def tells_stop(self) -> bool:
        """Whether the server tells by which stop string a message ended."""
        return "stop_reason" in self.model_fields_set


class Usage(BaseModel):
    """What the message took."""

    prompt_tokens: int | None = Field(None, ge=0, lt=2**31)
    completion_tokens: int | None = Field(None, ge=0, lt=2**31)


class PromptToken(BaseModel):
    """A token of the prompt."""

    logprob: float
    """Natural logarithm of its probability after the tokens before it."""


class Completion(BaseModel):
    """A chat completion; of what a server sends, only what an episode reads."""

    choices: list[Choice] = Field(min_length=1)
    usage: Usage | None = None
    prompt_logprobs: list[dict[str, PromptToken] | None] | None = None
    """Of each token of the prompt its log-probability, by its number; only vLLM tells it, where it was asked."""
    _timing: MessageTiming | None = PrivateAttr(None)

    @property
    def timing(self) -> MessageTiming | None:
        """When its parts came; None where nobody took the time."""
        return self._timing

    def timed(self, timing: MessageTiming) -> Self:
        """The same, with when its parts came: its client's own measure, never the server's word."""
        self._timing = timing
        return self


def read_completion(body: bytes) -> Completion:
    """The completion in the body of a reply.

    Raises NotJson for a body that is no JSON object, NoCompletion for an object that is something else; both say in
    one line what there is.

    >>> read_completion(b'{"choices": [{"message": {"content": "Hello"}}]}').choices[0].message.content
    'Hello'
    >>> read_completion(b"<html>Log in</html>")
    Traceback (most recent call last):
    ...
    drag_rl.policies.server.completion.NotJson: is no JSON object but '<html>Log in</html>'
    """
    found = json_object(body)
    try:
        return Completion.model_validate(found)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise NoCompletion(f"is no chat completion: {where}: {problem['msg']} in {_start(body)}") from None


def json_object(body: bytes) -> dict[str, object]:
    """The JSON object that a body holds. Raises NotJson."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):  # also what is no text, and numbers without end
        found = None
    if not isinstance(found, dict):
        raise NotJson(f"is no JSON object but {_start(body)}" if body.strip() else "is empty")
    return found


def storable(text: str) -> str:
    """Text that can be written: half a character, which JSON can name but no encoding holds, becomes ``\\ufffd``.

    >>> storable("a\\ud800b") == "a\\ufffdb"
    True
    """
    return _SURROGATES.sub("\ufffd", text)


def one_line(text: str) -> str:
    """What a server says, in one line of at most 300 characters that can be written."""
    return " ".join(storable(text[:2000]).split())[:300]


def _start(body: bytes) -> str:
    """How a body begins, for a message."""
    return repr(body[:100].decode("utf-8", "replace"))
