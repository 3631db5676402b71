"""A client of a server that runs a model for us: replies bounded in time and size, and one-line causes of failure."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

import httpx2

from drag_rl.errors import InputError

TIMEOUT_S = 120.0
"""Of one attempt, from connecting to the last byte of the reply."""
MAX_REPLY_BYTES = 128 << 20
WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each further attempt where the server is busy or does not answer."""
AT_ONCE = 4
"""Requests that are on their way at a time, so that the server always has work."""
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)")


class ModelServer:
    """Asks a server with the key of ``OPENAI_API_KEY``; safe to share between threads."""

    def __init__(self, model: str, url: str, kind: str) -> None:
        """``model`` is what the user gave as ``--model``, ``kind`` what the server is called where it fails.

        Raises ``InputError`` for an address that is none.
        """
        self._model, self._kind = model, kind
        self._url = url.rstrip("/")
        key = os.environ.get("OPENAI_API_KEY", "")
        try:
            self._client = httpx2.Client(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx2.Timeout(TIMEOUT_S, connect=15.0),
                # A proxy of the environment does not lead to this machine.
                trust_env=not _LOCAL.match(self._url),
            )
            httpx2.URL(self._url)
        except (ValueError, ImportError, httpx2.InvalidURL) as error:
            raise InputError(f"--model {model}: no way there: {error}") from error

    def answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON object that the server answers, with further attempts while it is busy or away.

        Raises ``InputError`` with the cause, never an empty answer.
        """
        why = ""
        for wait in (0.0, *WAITS_S):
            time.sleep(wait)
            try:
                status, content = self._sent(method, path, **request)
            except httpx2.HTTPError as error:
                why = str(error.__cause__ or error) or type(error).__name__
                continue
            if status == 200:
                return self._json(content)
            said = " ".join(content[:300].decode("utf-8", "replace").split())
            why = f"HTTP {status}: {said}"
            if status != 429 and status < 500:
                break
        raise self.failed(why)

    def failed(self, why: str) -> InputError:
        """The error that tells what is wrong with the server."""
        return InputError(f"--model {self._model}: the {self._kind} failed: {why}")

    def _sent(self, method: str, path: str, **request: Any) -> tuple[int, bytes]:
        """Status and body of a reply that is bounded in time and size."""
        late = time.monotonic() + TIMEOUT_S
        with self._client.stream(method, f"{self._url}{path}", **request) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_REPLY_BYTES:
                    raise self.failed(
                        f"its reply is longer than {MAX_REPLY_BYTES >> 20} MiB; lower --batch-size"
                    )
                if time.monotonic() > late:
                    raise httpx2.ReadTimeout(f"no whole reply within {TIMEOUT_S:g} s")
            return response.status_code, bytes(body)

    def _json(self, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.failed(f"its reply is no JSON ({error})") from error
        if not isinstance(found, dict):
            raise self.failed(
                "its reply is no JSON object: is that the address of an OpenAI-compatible server?"
            )
        return found
