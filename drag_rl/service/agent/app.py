"""The agent as a FastAPI application: its addresses, and who may ask."""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from drag_rl import __version__
from drag_rl.handoff.session import Session
from drag_rl.service.agent.endpoint import AgentLimits, ChatCompletions, error_response
from drag_rl.service.agent.web import add_web_page

if TYPE_CHECKING:
    from drag_rl.corpus.images import PageImages


def agent_app(
    session: Session,
    limits: AgentLimits | None = None,
    *,
    model: str = "drag",
    token: str | None = None,
    images: PageImages | None = None,
) -> FastAPI:
    """The application over an open session, which it closes at its end.

    Args:
        session: Who searches what, and who answers.
        limits: Bounds of a request; None means the default ones.
        model: What the agent is called in requests and answers.
        token: What a client must send as ``Authorization: Bearer TOKEN``, its API key; None lets everybody ask. Health
            and the empty web page are open.
        images: What the web page shows beside the text of pages; None shows the text alone.
    """

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await session.close()

    chat = ChatCompletions(session, model, limits or AgentLimits())
    app = FastAPI(title="drag agent", openapi_url=None, lifespan=closing)
    started = int(time.time())

    def guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def asked(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            if token is not None and not hmac.compare_digest(given, f"Bearer {token}".encode()):
                why = "send the agent's token as the API key"
                return error_response(401, why, {"WWW-Authenticate": "Bearer"})
            return await answer(request)

        return asked

    async def models(request: Request) -> Response:
        del request
        this = {"id": model, "object": "model", "created": started, "owned_by": "drag-rl"}
        return JSONResponse({"object": "list", "data": [this]})

    async def health(request: Request) -> Response:
        del request
        generator = session.generator
        return JSONResponse(
            {
                "status": "ok",
                "version": __version__,
                "searcher": session.searcher,
                "generator": generator.options.model if generator else None,
                "pages": len(session.retriever.pages),
                "index": session.retriever.fingerprint,
                "in_flight": chat.in_flight,
                "page_images": images is not None,
                "needs_token": token is not None,
            }
        )

    app.add_route("/v1/chat/completions", guarded(chat), methods=["POST"])
    app.add_route("/v1/models", guarded(models), methods=["GET"])
    app.add_route("/health", health, methods=["GET"])
    add_web_page(app, guarded, session.retriever.pages, images)
    return app
