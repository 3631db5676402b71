"""``POST /v1/chat/completions``: many questions at once, each with a limit in time; one that is left is ended."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from drag_rl.errors import InputError
from drag_rl.handoff.asking import Step
from drag_rl.handoff.session import Session, asked_question
from drag_rl.handoff.summary import Told, summary, told_by
from drag_rl.policies.base import PolicyFailed, ServerDown
from drag_rl.service.agent.request import AskRequest, read_ask_request
from drag_rl.service.agent.wording import Wording

DONE = b"data: [DONE]\n\n"
JSON_TYPE = "application/json"
"""A browser that sends this for a page of another site asks first, and is not answered; other types it just sends."""
LEFT = 499
"""The status of a request whose client has left, which nobody is told."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLimits:
    """Bounds of the agent; what is beyond them is refused in one line."""

    body_bytes: int = 1 << 20
    """Of a request's body."""
    concurrency: int = 64
    """Questions at once; further ones are told to come again (503)."""
    timeout_s: float = 300.0
    """From a question to the end of its answer."""
    body_timeout_s: float = 30.0
    """For a request's body to come."""


class Refused(Exception):  # noqa: N818 (what happened, not whose fault)
    """A question that is not answered: its status and a line that says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class ChatCompletions:
    """The endpoint. Call it with a request."""

    def __init__(self, session: Session, model: str, limits: AgentLimits) -> None:
        self._session, self._model, self._limits = session, model, limits
        self.in_flight = 0

    async def __call__(self, request: Request) -> Response:
        """The answer to one request, whole or as a stream, or a refusal in OpenAI's form."""
        try:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON_TYPE:
                raise Refused(415, f"send the body as Content-Type: {JSON_TYPE}")
            asked = read_ask_request(await self._body(request))
            if self.in_flight >= self._limits.concurrency:
                raise Refused(503, f"{self.in_flight} questions are being answered already; come again")
            if asked.stream:
                self.in_flight += 1  # until the response has ended, whether it was sent or not
                return _Streamed(self._stream(asked), self._left)
            self.in_flight += 1
            try:
                told = await _unless_left(request, told_by(self._steps(asked)))
            finally:
                self._left()
            said = summary(told, self._session.searcher, self._session.generator)
            return JSONResponse(Wording(model=self._model).completion(told, said))
        except Exception as error:
            refused = _refusal(error)
            return error_response(refused.status, str(refused))

    def _left(self) -> None:
        self.in_flight -= 1

    async def _steps(self, asked: AskRequest) -> AsyncGenerator[Step, None]:
        """The steps of a question, within the limit of time. Raises Refused when that is over."""
        deadline = asyncio.get_running_loop().time() + self._limits.timeout_s
        async with aclosing(self._session.ask(asked_question(asked.question, asked.scope))) as steps:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        step = await anext(steps, None)
                except TimeoutError:
                    raise Refused(504, f"no answer within {self._limits.timeout_s:g} s") from None
                if step is None:
                    return
                yield step

    async def _stream(self, asked: AskRequest) -> AsyncGenerator[bytes, None]:
        wording = Wording(model=self._model)
        yield _event(wording.first())
        try:
            async with aclosing(self._steps(asked)) as steps:
                kept: list[Step] = []
                async for step in steps:
                    kept.append(step)
                    for chunk in wording.step(step):
                        yield _event(chunk)
            told = await told_by(_again(kept))
            said = summary(told, self._session.searcher, self._session.generator)
            for chunk in wording.last(told, said, with_usage=asked.usage):
                yield _event(chunk)
        except Exception as error:
            refused = _refusal(error)
            yield _event({"error": _error(refused.status, str(refused))})
        yield DONE

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._limits.body_bytes:
                        raise Refused(413, f"the body is longer than {self._limits.body_bytes} bytes")
        except TimeoutError:
            raise Refused(408, f"the body did not come within {self._limits.body_timeout_s:g} s") from None
        return bytes(body)


class _Streamed(StreamingResponse):
    """A stream that tells when it has ended, sent or not, and leaves nothing running."""

    def __init__(self, events: AsyncGenerator[bytes, None], ended: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._events, self._ended = events, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()
            self._ended()


async def _unless_left(request: Request, telling: Coroutine[Any, Any, Told]) -> Told:
    """What is told, unless the client leaves before: then it is ended, too. Raises Refused."""
    told = asyncio.ensure_future(telling)
    left = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({told, left}, return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            raise Refused(LEFT, "the client left before its answer")
        return told.result()
    finally:
        for task in (told, left):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _again(steps: list[Step]) -> AsyncIterator[Step]:
    for step in steps:
        yield step


def _refusal(error: Exception) -> Refused:
    """What a client is told of an error; one line of the log is told it, too."""
    if isinstance(error, Refused):
        refused = error
    elif isinstance(error, ClientDisconnect):
        refused = Refused(LEFT, "the client left before its request was read")
    elif isinstance(error, PolicyFailed):
        refused = Refused(502, f"a model's server failed: {_one_line(error)}")
    elif isinstance(error, InputError):
        refused = Refused(502 if isinstance(error, ServerDown) else 422, _one_line(error))
    else:
        log.exception("a question failed")
        return Refused(500, f"the question failed: {_one_line(error)}")
    log.warning("%d: %s", refused.status, refused)
    return refused


def error_response(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal as OpenAI's clients read it."""
    retry = {"Retry-After": "1"} if status == 503 else {}
    return JSONResponse(
        {"error": _error(status, why)}, status_code=status, headers={**retry, **(headers or {})}
    )


def _error(status: int, why: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"message": why, "type": kind, "code": status, "param": None}


def _event(chunk: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk, ensure_ascii=False, allow_nan=False)}\n\n".encode()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
