"""The agent's web page, and the pages of documents that it shows: their text and, where there are any, their images.

The page itself is open to all, for it holds nothing: what it shows it asks of the agent, with the token that its user
gives it. It comes from files beside this module and loads nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from drag_rl.corpus.pages import source_dir_of
from drag_rl.errors import InputError
from drag_rl.retrieval import PageTexts

if TYPE_CHECKING:
    from drag_rl.corpus.images import PageImages

FOLDER = Path(__file__).parent / "web"
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{path.name}": (path.name, "text/javascript") for path in sorted(FOLDER.glob("*.js"))},
}
"""Address -> file, media type."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob: data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
INERT = "default-src 'none'; sandbox"
"""The policy for what comes out of documents: it may do nothing at all."""
RENDERED_AT_ONCE = 4
"""Page images; others wait, so that searches find a thread."""

Answering = Callable[[Request], Awaitable[Response]]
log = logging.getLogger(__name__)


def images_of(pages_dir: Path | None) -> PageImages | None:
    """The page images of a folder of pages; None without a folder, or where it was made from an OCR file.

    Raises InputError where the documents that it was made from are gone.
    """
    if pages_dir is None or source_dir_of(pages_dir) is None:
        return None
    from drag_rl.corpus.images import PageImages  # takes seconds, and not every agent shows images

    return PageImages(pages_dir)


def add_web_page(
    app: FastAPI, guarded: Callable[[Answering], Answering], pages: PageTexts, images: PageImages | None
) -> None:
    """Add ``GET /`` with its files, ``/pages/ID`` (text) and ``/page-images/ID`` (PNG).

    ``guarded`` lets those alone through who may ask.
    """
    room = asyncio.Semaphore(RENDERED_AT_ONCE)

    async def file(request: Request) -> Response:
        name, media_type = FILES[request.url.path.removeprefix(request.scope.get("root_path", ""))]
        return FileResponse(FOLDER / name, media_type=media_type, headers=_headers(POLICY))

    async def text(request: Request) -> Response:
        page_id = request.path_params["page_id"]
        if page_id not in pages:
            return _missing("There is no such page.")
        return PlainTextResponse(pages.text(page_id), headers=_headers(INERT))

    async def image(request: Request) -> Response:
        page_id = request.path_params["page_id"]
        if images is None or page_id not in pages:
            return _missing("There is no image of this page.")
        try:
            async with room:
                path = await asyncio.to_thread(images.path, page_id)
        except InputError as error:
            log.warning("%s", error)  # its text may name files, which are not the client's business
            return _missing("This page cannot be shown as an image.")
        return FileResponse(path, media_type="image/png", headers=_headers(INERT))

    for address in FILES:
        app.add_route(address, file, methods=["GET"])
    app.add_route("/pages/{page_id:path}", guarded(text), methods=["GET"])
    app.add_route("/page-images/{page_id:path}", guarded(image), methods=["GET"])


def _missing(why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status_code=404, headers=_headers(INERT))


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
