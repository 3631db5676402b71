"""A server whose answers a test may replace, and a cache of a test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from drag_rl.retrieval import Query

TEXTS = ["red fox", "blue fox", "green tree"]
FOX = Query(text="fox", track=("doc#1",))


@contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """Answers are kept below this folder meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield


class Between:
    """A server whose next answers a test may put others in place of; it counts requests to /retrieve."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.next: list[Callable[[], Response]] = []
        self.always: Callable[[], Response] | None = None
        self.bodies: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"] == "/retrieve":
            body = await Request(scope, receive).body()
            self.bodies.append(json.loads(body))
            if self.next or self.always:
                app = (self.next.pop(0) if self.next else self.always)()

            read = [{"type": "http.request", "body": body, "more_body": False}]

            async def again() -> Any:
                return read.pop() if read else await receive()

            await app(scope, again, send)
            return
        await app(scope, receive, send)
