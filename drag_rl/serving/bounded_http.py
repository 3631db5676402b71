"""An HTTP client whose requests end, in time and in bytes, whatever the server does."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx2
import openai

MAX_REPLY_BYTES = 16 << 20
"""Of the body of one reply, unpacked. The longest messages of today's models take a tenth of it."""
TIMES = "drag_times"
"""The extension of a response that tells, in seconds of ``time.perf_counter``, when its headers, the first piece of its
body (if it has one) and its end came."""
_UNPACKED = {"content-encoding", "content-length", "transfer-encoding", "content-type"}
"""Headers that say how to read a body; the one that is handed on is read already, and JSON or nothing."""


class UnreadableReply(openai.OpenAIError):
    """The body of a reply is too long or cannot be unpacked."""


class BoundedClient(openai.DefaultAsyncHttpxClient):
    """The read time-out of a request bounds all of it: connecting, redirects, headers, and the last byte of the body.

    Time-outs of HTTP libraries are of one read each: a server that sends a byte now and then is never late.
    """

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request and read its reply, whole.

        Raises ``httpx2.ReadTimeout`` when that takes longer than the request's read time-out, UnreadableReply for more
        than MAX_REPLY_BYTES or a body that is not packed as its headers say, ``httpx2.RequestError`` as usual.
        """
        limit_s = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(limit_s):
                response = await super().send(request, **{**options, "stream": True})
                times = [time.perf_counter()]
                try:
                    body = await _bounded_body(response, times)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no whole reply within {limit_s:g} s", request=request) from error
        return httpx2.Response(
            response.status_code,
            headers=[(name, value) for name, value in response.headers.raw if _name(name) not in _UNPACKED],
            content=body,
            request=response.request,
            history=response.history,
            extensions={TIMES: (*times, time.perf_counter())},
        )


async def _bounded_body(response: httpx2.Response, times: list[float]) -> bytes:
    """The body; ``times`` gets when its first piece came."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            if not body:
                times.append(time.perf_counter())
            body += chunk
            if len(body) > MAX_REPLY_BYTES:
                raise UnreadableReply(f"is longer than {MAX_REPLY_BYTES >> 20} MiB")
    except httpx2.DecodingError as error:
        raise UnreadableReply(f"cannot be unpacked ({error})") from error
    return bytes(body)


def _name(raw: bytes) -> str:
    return raw.decode("latin-1").lower()
