"""The service as a FastAPI application: its addresses, and who may ask."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import signal
import threading
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from drag_rl import __version__
from drag_rl.retrieval import PageTexts
from drag_rl.service.endpoint import INDEX_HEADER, Retrieve, refusal
from drag_rl.service.limits import Limits
from drag_rl.service.live_index import LiveIndex
from drag_rl.service.metrics import Metrics

PAGES_OF_A_PIECE = 256


def service_app(
    index: LiveIndex, limits: Limits | None = None, *, top_k: int = 3, token: str | None = None
) -> FastAPI:
    """The application over an index.

    Args:
        index: What is searched; it is watched while the application runs.
        limits: Bounds of a request; None means the default ones.
        top_k: Hits of a query where a request does not say.
        token: What a client must send as ``Authorization: Bearer TOKEN``; None lets everybody ask. Health is open.
    """
    metrics = Metrics(index)
    search = Retrieve(index, metrics, limits or Limits(), top_k)
    app = FastAPI(title="drag serve", openapi_url=None, lifespan=lambda _: _watching(index))

    def stranger(request: Request) -> Response | None:
        """What somebody without the token is told; None for everybody else."""
        if token is None or hmac.compare_digest(
            request.headers.get("authorization", "").encode(), f"Bearer {token}".encode()
        ):
            return None
        return refusal(401, "send the service's token as a Bearer", {"WWW-Authenticate": "Bearer"})

    async def retrieve(request: Request) -> Response:
        return stranger(request) or await search(request)

    # A plain route: FastAPI's own would look for parameters in each request, and take longer than the search.
    app.add_route("/retrieve", retrieve, methods=["POST"])

    @app.get("/pages")
    async def pages(request: Request) -> Response:
        if told := stranger(request):
            return told
        retriever = index.now.retriever
        headers = {INDEX_HEADER: retriever.fingerprint}
        return StreamingResponse(_lines(retriever.pages), media_type="application/x-ndjson", headers=headers)

    @app.get("/metrics")
    async def exposition(request: Request) -> Response:
        return stranger(request) or Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    @app.get("/health")
    async def health() -> Response:
        now = index.now
        return JSONResponse(
            {
                "status": "ok",
                "kind": now.kind,
                "fingerprint": now.retriever.fingerprint,
                "pages": len(now.retriever.pages),
                "problem": index.problem,
                "version": __version__,
            }
        )

    return app


@contextlib.asynccontextmanager
async def _watching(index: LiveIndex) -> AsyncIterator[None]:
    """The index is watched, and looked at once on SIGHUP where signals can be had."""
    signals = threading.current_thread() is threading.main_thread()
    loop = asyncio.get_running_loop()
    if signals:
        loop.add_signal_handler(signal.SIGHUP, index.look_soon)
    watch = asyncio.create_task(index.watch())
    try:
        yield
    finally:
        watch.cancel()
        if signals:
            loop.remove_signal_handler(signal.SIGHUP)


async def _lines(pages: PageTexts) -> AsyncIterator[bytes]:
    """The id and text of every page, in page order, one JSON object a line."""
    for start in range(0, len(pages), PAGES_OF_A_PIECE):
        yield await asyncio.to_thread(_piece, pages, start)


def _piece(pages: PageTexts, start: int) -> bytes:
    rows = range(start, min(len(pages), start + PAGES_OF_A_PIECE))
    page_ids = [pages.page_ids[row] for row in rows]
    # In ASCII no text has a character that some reader takes for the end of a line.
    return "".join(
        f"{json.dumps({'id': page_id, 'text': pages.text(page_id)})}\n" for page_id in page_ids
    ).encode()
