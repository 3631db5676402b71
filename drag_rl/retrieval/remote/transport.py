"""One HTTP server, asked with bounds on time, size and rate, and again where that may help."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from drag_rl.errors import InputError
from drag_rl.retrieval.remote.rate import RateLimit

TOKEN_VARIABLE = "DRAG_SERVICE_TOKEN"
MAX_ANSWER_BYTES = 64 << 20
MAX_DELAY_S = 8.0
MAX_RETRY_AFTER_S = 120.0
AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""Statuses of a server that may answer the same request later."""


class ServerFailed(InputError):  # noqa: N818 (what happened, not whose fault)
    """A server does not answer, or not what was asked; the text names it and says why."""


class Refused(ServerFailed):
    """A server answers, but not this request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Which server, and how long to try."""

    url: str
    """Its address, such as ``http://127.0.0.1:8000``, without ``/retrieve``."""
    timeout_s: float = 30.0
    """Of one attempt, from connecting to the last byte."""
    retries: int = 5
    """Further attempts, after about 0.5 s, 1 s, 2 s ... 8 s, or as long as the server's Retry-After says."""
    connections: int = 8
    """Requests at once."""


class Answer(NamedTuple):
    """What a server sent with status 200."""

    content: Any
    """The JSON value."""
    headers: Mapping[str, str]


class Transport:
    """A client of one server. Use it in the event loop of ``drag_rl.retrieval.remote.background``."""

    def __init__(self, settings: ServerSettings, rate: RateLimit | None = None) -> None:
        """Raises ``InputError`` for an address or a token that cannot be used."""
        self.settings, self._rate = settings, rate
        host = _host(settings.url)
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not (token.isascii() and token.isprintable()):
            raise InputError(f"{TOKEN_VARIABLE}: has characters that no token has; set it again")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A proxy of the environment does not lead to this machine.
        self._trust_env = host not in {"localhost", "127.0.0.1", "::1"}
        self._clients: dict[int, httpx2.AsyncClient] = {}

    async def turn(self) -> None:
        """Return when the rate allows the next request."""
        if self._rate:
            await self._rate.wait()

    async def get(self, path: str) -> Answer:
        """The JSON at an address. Raises ``ServerFailed``."""
        await self.turn()
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """The JSON that answers a JSON body; await :meth:`turn` before. Raises ``ServerFailed``."""
        return await self._ask("POST", path, json.dumps(body).encode())

    def failed(self, why: str, path: str = "") -> ServerFailed:
        """The error that names the server."""
        return ServerFailed(" ".join(f"{self.settings.url}{path}: {why}".split())[:2000])

    def options(self) -> dict[str, Any]:
        """How any client of httpx2 reaches the server."""
        return {
            "base_url": self.settings.url,
            "headers": self._headers,
            "timeout": httpx2.Timeout(self.settings.timeout_s),
            "trust_env": self._trust_env,
        }

    async def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        for attempt in range(self.settings.retries + 1):
            delay_s = min(MAX_DELAY_S, 0.5 * 2**attempt) * random.uniform(0.5, 1)
            try:
                async with asyncio.timeout(self.settings.timeout_s):
                    status, headers, content = await self._once(method, path, body)
            except (TimeoutError, httpx2.TimeoutException):
                cause = f"no whole answer within {self.settings.timeout_s:g} s"
            except httpx2.TransportError as error:
                cause = f"cannot be reached: {error or type(error).__name__}"
            except httpx2.RequestError as error:
                raise self.failed(f"sends what cannot be read: {error}", path) from error
            else:
                if status == 200:
                    return Answer(self._json(content, path), headers)
                cause = said(status, headers, content)
                if status not in AGAIN:
                    raise Refused(str(self.failed(cause, path)))
                delay_s = max(delay_s, _retry_after_s(headers))
            if attempt < self.settings.retries:
                await asyncio.sleep(delay_s)
                await self.turn()
        raise self.failed(f"{cause} (after {self.settings.retries + 1} attempts)", path)

    async def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        async with self._client().stream(method, path, content=body, headers=headers) as response:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise self.failed(f"its answer is longer than {MAX_ANSWER_BYTES >> 20} MiB", path)
            return response.status_code, response.headers, bytes(content)

    def _client(self) -> httpx2.AsyncClient:
        """The connections of this process; a forked one makes its own."""
        if os.getpid() not in self._clients:
            limits = httpx2.Limits(max_connections=2 * self.settings.connections)
            self._clients[os.getpid()] = httpx2.AsyncClient(**self.options(), limits=limits)
        return self._clients[os.getpid()]

    def _json(self, content: bytes, path: str) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Refused(str(self.failed(f"its answer is no JSON ({error})", path))) from error


def server_root(url: str) -> str:
    """The address of a server, which users may give with or without ``/retrieve``.

    >>> server_root("http://127.0.0.1:8000/retrieve"), server_root("http://127.0.0.1:8000/")
    ('http://127.0.0.1:8000', 'http://127.0.0.1:8000')
    """
    return url.strip().rstrip("/").removesuffix("/retrieve").rstrip("/")


def limit_file(folder: Path, url: str) -> Path:
    """The file in which all who ask a server keep its rate."""
    return folder / f"rate-{''.join(sign if sign.isalnum() else '-' for sign in urlsplit(url).netloc)}"


def _host(url: str) -> str:
    """The host of an address. Raises ``InputError`` for what is none."""
    try:
        address, host = urlsplit(url), httpx2.URL(url).host
        possible = address.scheme in {"http", "https"} and host and address.port != 0
    except (ValueError, httpx2.InvalidURL):
        possible = False
    if not possible:
        raise InputError(
            f"--url {' '.join(url.split()) or '(missing)'}: is no address such as http://127.0.0.1:8000"
        )
    return host


def said(status: int, headers: Mapping[str, str], content: bytes) -> str:
    """What a server that does not answer says instead."""
    if 300 <= status < 400:
        return f"sends requests on to {headers.get('location', 'nowhere')}; is that your --url?"
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    detail = found.get("detail") if isinstance(found, dict) else None
    words = detail if isinstance(detail, str) else content[:500].decode("utf-8", "replace")
    advice = f"; set {TOKEN_VARIABLE}" if status in {401, 403} else ""
    return f"HTTP {status}: {words or 'no words'}{advice}"


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        return min(MAX_RETRY_AFTER_S, max(0.0, float(headers.get("retry-after", 0))))
    except ValueError:  # a date
        return 0.0
