"""Who may ask an application: those who send its token, and, for single addresses, those who hold a signed one.

A page of a document that is cited should open in a browser, which sends no token. So its address can carry a key that
only who knows the token can have made; it opens this address, and no other.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

KEY = "key"


class TokenGuard:
    """An application that answers those alone who send ``Authorization: Bearer TOKEN``, or ask for a signed path."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request that may ask, and all that is no request."""
        if scope["type"] == "http" and not self._lets(scope):
            refused = JSONResponse(
                {"detail": "send the service's token as a Bearer"},
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _lets(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("authorization", "").encode()
        if hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return True
        keys = parse_qs(scope["query_string"].decode("latin-1")).get(KEY, [""])
        right = key_of(self._token, scope["path"])
        return scope["method"] == "GET" and hmac.compare_digest(keys[0].encode(), right.encode())


def key_of(token: str, path: str) -> str:
    """What opens a path without the token, as the value of ``key`` in its query: HMAC-SHA256, 128 bits in hex."""
    signed = hmac.new(token.encode(), path.encode(errors="surrogatepass"), hashlib.sha256)
    return signed.hexdigest()[:32]
