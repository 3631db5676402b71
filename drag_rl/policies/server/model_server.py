"""One OpenAI-compatible server: how it is reached, and what its failures mean for the run."""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from drag_rl.errors import InputError
from drag_rl.policies.base import ContextFull, MessageTiming, PolicyFailed, ServerDown
from drag_rl.policies.server.completion import (
    Completion,
    NoCompletion,
    NotJson,
    json_object,
    one_line,
    read_completion,
)
from drag_rl.policies.server.streamed import NOT_STREAMED, STREAMED, read_stream
from drag_rl.policies.source import Dialect
from drag_rl.protocol import MESSAGE_TIMEOUT_S
from drag_rl.serving.bounded_http import TIMES, BoundedClient, UnreadableReply

_CONTEXT_FULL = re.compile(
    r"context[ _](length|window|size)|maximum (model|input|prompt|sequence) length|max_model_len",
    re.IGNORECASE,
)

_HOST = re.compile(r"[\w.-]+|[\da-fA-F.]*:[\da-fA-F.:]*(%\w+)?")


class RequestFailed(PolicyFailed):
    """The server answers, but not to this request; its text is what the server said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How to reach a server, and how long to try."""

    base_url: str
    """Such as ``http://127.0.0.1:8000/v1``."""
    model: str
    api_key: str
    timeout_s: float = MESSAGE_TIMEOUT_S
    """Of one attempt at one message, from connecting to the last byte of the reply."""
    retries: int = 6
    """Further attempts at a message, after 0.5 s, 1 s, 2 s ... 8 s, or as long as the server's Retry-After says (up
    to 2 minutes)."""
    dialect: Dialect = "vllm"
    option: str = "--base-url"
    """The option that named the address, for errors."""
    key_variable: str = "OPENAI_API_KEY"
    """The variable of the environment that holds the key, for errors."""
    timed: bool = False
    """Whether replies come as a stream, which tells when their first token came."""


class ModelServer:
    """A client of one server, shared by all episodes. Use it in one event loop, and ``close`` it there."""

    def __init__(self, settings: ServerSettings) -> None:
        """Raises InputError for an address that is no HTTP URL, and for a key that cannot be sent."""
        host = _host(settings.base_url, settings.option)
        if not (settings.api_key.isascii() and settings.api_key.isprintable()):
            raise InputError(
                f"{settings.key_variable}: has characters that no key has, such as a line end; set it again"
            )
        self.settings = settings
        local = host in {"localhost", "127.0.0.1", "::1"}
        try:
            self._client = openai.AsyncOpenAI(
                base_url=settings.base_url,
                api_key=settings.api_key,
                timeout=openai.Timeout(settings.timeout_s, connect=min(15.0, settings.timeout_s)),
                max_retries=settings.retries,
                # A proxy of the environment does not lead to this machine.
                http_client=BoundedClient(
                    follow_redirects=False, trust_env=not local, verify=_certificates(trust_env=not local)
                ),
            )
        except (ValueError, ImportError, httpx2.InvalidURL) as error:
            raise InputError(
                f"{settings.option} {settings.base_url}: no way there: {one_line(str(error))}; look at the "
                "environment's HTTP_PROXY, HTTPS_PROXY and ALL_PROXY"
            ) from error

    async def complete(self, request: dict[str, Any]) -> Completion:
        """A chat completion, with retries.

        A reply that is no chat completion costs its request. One that is not even a JSON object ends the run if the
        server's list of models is no JSON object either: then this server is not OpenAI-compatible.

        Raises ServerDown when the server is gone, is not OpenAI-compatible, or refuses access; ContextFull when the
        messages are too long for the model; RequestFailed when only this request fails.
        """
        timed = self.settings.timed and not NOT_STREAMED & request.keys()
        body = {"model": self.settings.model, **request, **(STREAMED if timed else {})}
        asked = time.perf_counter()
        try:
            # Its own method would look through every part of every message for what it has to rename: it has not.
            response = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
            if not timed:
                return read_completion(response.content)
            return read_stream(response.content).timed(_timing(asked, response.extensions[TIMES]))
        except NotJson as error:
            await self._check_compatible(error)
            raise RequestFailed(f"the reply {error}") from error
        except (NoCompletion, UnreadableReply) as error:
            raise RequestFailed(f"the reply {error}") from error
        except openai.APITimeoutError as error:
            await self._models()
            raise RequestFailed(f"no whole reply within {self.settings.timeout_s:g} s") from error
        except openai.APIConnectionError as error:
            raise self._down(f"cannot be reached: {_cause(error)}") from error
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._down(f"refuses access: {_said(error)}; set {self.settings.key_variable}") from error
        except openai.NotFoundError as error:
            raise self._down(
                f"has no model {self.settings.model!r}, or no such address: {_said(error)}"
            ) from error
        except openai.RateLimitError as error:
            raise self._down(f"still limits the rate: {_said(error)}; lower --concurrency") from error
        except openai.APIStatusError as error:
            if error.status_code >= 500:
                await self._models()
            elif elsewhere := error.response.headers.get("location"):
                # Followed blindly it would get the pages, and a GET in place of the POST.
                raise self._down(
                    f"sends requests on to {elsewhere}: is that your {self.settings.option}?"
                ) from error
            elif _CONTEXT_FULL.search(f"{_text(error.code)} {_text(error.message)}"):
                raise ContextFull(_said(error)) from error
            raise RequestFailed(f"HTTP {error.status_code}: {_said(error)}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _check_compatible(self, reply: NotJson) -> None:
        """Raise ServerDown if the list of models, like this reply, is no JSON object."""
        try:
            json_object(await self._models())
        except NotJson:
            raise self._down(f"is no OpenAI-compatible one: its reply {reply}") from reply

    async def _models(self) -> bytes:
        """What the server lists as its models, or what it says instead. Raises ServerDown unless it answers at all."""
        client = self._client.with_options(max_retries=1, timeout=30.0)
        try:
            return (await client.models.with_raw_response.list()).http_response.content
        except openai.APIStatusError as error:
            return error.response.content
        except UnreadableReply:
            return b""
        except openai.APIConnectionError as error:
            raise self._down(f"does not answer any more: {error.__cause__ or error}") from error

    def _down(self, what: str) -> ServerDown:
        return ServerDown(f"{self.settings.base_url}: the server {one_line(what)}")


def _timing(asked: float, times: tuple[float, ...]) -> MessageTiming:
    """Where the time went from a request to the end of its reply."""
    headers, first, end = times[0], times[1 if len(times) > 2 else 0], times[-1]
    return MessageTiming(waiting_s=headers - asked, first_token_s=first - headers, decoding_s=end - first)


@cache
def _certificates(*, trust_env: bool) -> ssl.SSLContext:
    """Those that this machine trusts, read once: that takes as long as a dozen requests."""
    return httpx2.create_ssl_context(trust_env=trust_env)


def _host(base_url: str, option: str) -> str:
    """The host of a server's address, which ``option`` names. Raises InputError for what cannot be one."""
    try:
        address = urlsplit(base_url)
        host = httpx2.URL(base_url).host  # refuses control characters and stray brackets
        host.encode("idna")  # names that no name server can be asked for
        possible = address.scheme in {"http", "https"} and address.port != 0 and _HOST.fullmatch(host)
    except (ValueError, httpx2.InvalidURL):
        possible = None
    if not possible:
        raise InputError(f"{option} {one_line(base_url)}: is no address such as http://localhost:8000/v1")
    return host


def _said(error: openai.APIStatusError) -> str:
    """The server's words in one line: its message, or how its reply begins."""
    body = error.body
    words = _text(body.get("message")) if isinstance(body, dict) else ""
    return one_line(words or error.response.content[:2000].decode("utf-8", "replace") or "no words")


def _text(value: object) -> str:
    """A text of the server's; it may have sent anything in its place."""
    return value[:2000] if isinstance(value, str) else ""


def _cause(error: Exception) -> str:
    """What went wrong below, in its own words; its kind where it has none."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
