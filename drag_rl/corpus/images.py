"""Images of pages: made from the PDF or the image file when first asked for, then kept on disk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from drag_rl.corpus.image_pages import is_image, split_place
from drag_rl.corpus.pages import DEFAULT_DPI, PAGES_FILE, pages_manifest, source_dir_of
from drag_rl.corpus.redactions import read_redactions
from drag_rl.corpus.render_request import Request, fitting_scale
from drag_rl.corpus.renderer import PageRenderError, Renderer, shared_renderer
from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_path, atomic_write, package_version
from drag_rl.files.parquet import iter_rows
from drag_rl.image_file import read_image

DEFAULT_MAX_PIXELS = 1 << 20
"""Largest image by default: a letter page at 96 dpi fits."""
MAX_STALLS = 3
"""After this many pages of a file on which the renderer died, no other page of it is tried in this process."""
STAND_IN = "This page cannot be shown."
"""Written on the blank image that stands for a page that cannot be rendered."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The columns of ``types.Page`` that a page's image depends on."""

    page_id: str
    page_number: int
    width_pt: float
    height_pt: float
    source_file: str
    source_sha256: str
    status: str
    reason: str


class PageImages:
    """The page images of one folder of pages.

    Safe to use from several threads and processes at once: an image is rendered once, and is whole when it appears. A
    page that cannot be rendered is tried once too: a file ``.failed`` beside the images keeps the reason.

    Rendering takes bounded time and memory and happens in another process, but it does take time: an event loop calls
    from a thread.
    """

    def __init__(
        self,
        pages_dir: Path,
        cache_dir: Path | None = None,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        pdf_dir: Path | None = None,
        renderer: Renderer | None = None,
    ) -> None:
        """Find the pages; raises ``InputError`` if the folder of pages is unfinished or has no PDFs or images.

        ``cache_dir`` is ``images`` in the folder of pages by default; ``pdf_dir`` the folder of PDFs, or of
        images, that it was made from. Images have the corpus's resolution, or less where that would be more than
        ``max_pixels``. ``renderer`` is by default the one that all of this process share.
        """
        manifest = pages_manifest(pages_dir)
        found = pdf_dir or source_dir_of(pages_dir, manifest)
        if found is None:
            raise InputError(
                f"{pages_dir}: made from an OCR file, so it has no page images; use text observations"
            )
        if max_pixels < 1:
            raise InputError(f"max_pixels is {max_pixels}; it must be 1 or more")
        self._pages_dir = pages_dir
        self._folder = found
        self._cache_dir = cache_dir or pages_dir / "images"
        self._max_pixels = max_pixels
        self._dpi = int(manifest.config.get("dpi", DEFAULT_DPI))
        self._sources = {source.page_id: source for source in iter_rows(pages_dir / PAGES_FILE, _Source)}
        self._redactions = read_redactions(pages_dir)
        self._renderer = renderer or shared_renderer()
        self._failed: dict[str, str] = {}
        self._stalls: Counter[str] = Counter()
        self.replaced: dict[str, str] = {}
        """Page id -> reason of each page that ``shown_path`` replaced by a blank image."""

    def size(self, page_id: str) -> tuple[int, int]:
        """Width and height of a page's image in pixels, without rendering it."""
        source = self._source(page_id)
        scale = fitting_scale(source.width_pt, source.height_pt, self._dpi, self._max_pixels)
        return math.ceil(source.width_pt * scale), math.ceil(source.height_pt * scale)

    def load(self, page_id: str) -> Image.Image:
        """The RGB image of a page; raises ``InputError`` as ``path`` does."""
        try:
            return read_image(self.path(page_id))
        except PageRenderError:
            raise
        except InputError:
            self.path(page_id).unlink(missing_ok=True)  # damaged since it was written
        return read_image(self.path(page_id))

    def shown(self, page_id: str) -> Image.Image:
        """The RGB image that a policy is shown of a page; see ``shown_path``."""
        try:
            return self.load(page_id)
        except PageRenderError as error:
            return read_image(self._stand_in(page_id, error))

    def shown_path(self, page_id: str) -> Path:
        """The PNG file that a policy is shown of a page: its image, or a blank one if it cannot be rendered.

        So no run ends because somebody's PDF has a hostile page, and what is shown is the same in collection, training
        and evaluation. ``replaced`` counts these pages, and the log names each once. Raises ``InputError`` as ``path``
        does where it is not the page that is to blame.
        """
        try:
            return self.path(page_id)
        except PageRenderError as error:
            return self._stand_in(page_id, error)

    def path(self, page_id: str) -> Path:
        """The PNG file of a page, rendered if there is none yet.

        Raises:
            PageRenderError: The page cannot be rendered within the renderer's limits, or at all.
            InputError: The page is unknown or failed at ingest, or its file is gone or has changed.
        """
        source = self._source(page_id)
        path = self._file(source)
        if path.exists():
            return path
        if page_id in self._failed:
            raise self._error(page_id, self._failed[page_id])
        with _locked(path.parent.with_suffix(".lock")):
            if not path.exists():
                self._render(source, path)
        return path

    def key(self, page_id: str) -> str:
        """All that the image of a page depends on, as a hex digest; raises ``InputError`` for an unknown page."""
        return self._key(self._source(page_id))

    def kept(self, page_id: str) -> Path | None:
        """The PNG file of a page if it has been rendered already; raises ``InputError`` for an unknown page."""
        path = self._file(self._source(page_id))
        return path if path.exists() else None

    def page_ids(self) -> Iterator[str]:
        """The pages that have images, in page order."""
        return (page_id for page_id, source in self._sources.items() if source.status == "ok")

    def elsewhere(self, cache_dir: Path, renderer: Renderer) -> PageImages:
        """The same images in another cache folder, by another renderer."""
        images = copy(self)
        images._cache_dir, images._renderer = cache_dir, renderer
        images._failed, images._stalls, images.replaced = {}, Counter(), {}
        return images

    def _file(self, source: _Source) -> Path:
        key = self._key(source)
        return self._cache_dir / key[:2] / f"{key}.png"

    def _key(self, source: _Source) -> str:
        facts = [
            source.source_sha256,
            source.page_number,
            self._dpi,
            self._max_pixels,
            self._redactions.get(source.page_id, ()),
            package_version("pillow" if is_image(source.source_file) else "pymupdf"),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _source(self, page_id: str) -> _Source:
        source = self._sources.get(page_id)
        if source is None:
            raise InputError(f"{self._pages_dir}: has no page {page_id}")
        if source.status != "ok":
            raise InputError(f"{self._pages_dir}: page {page_id} failed at ingest ({source.reason})")
        return source

    def _render(self, source: _Source, path: Path) -> None:
        """Write the image of a page, or why there is none; raises as ``path`` does."""
        failed = path.with_suffix(".failed")
        if failed.exists():
            self._failed[source.page_id] = failed.read_text(encoding="utf-8")
            raise self._error(source.page_id, self._failed[source.page_id])
        if self._stalls[source.source_file] >= MAX_STALLS:
            raise self._error(source.page_id, f"{MAX_STALLS} other pages of its file stalled the reader")
        try:
            with atomic_path(path) as temporary:
                name, place = split_place(source.source_file)
                request = Request(
                    file=str(self._folder / name),
                    sha256=source.source_sha256,
                    page_number=place if is_image(name) else source.page_number,
                    dpi=self._dpi,
                    max_pixels=self._max_pixels,
                    boxes=self._redactions.get(source.page_id, ()),
                    target=str(temporary),
                )
                self._renderer.render(request)
        except PageRenderError as error:
            self._stalls[source.source_file] += error.stalled
            self._failed[source.page_id] = str(error)
            if error.lasting:
                with atomic_write(failed) as file:
                    file.write(str(error))
            raise self._error(source.page_id, str(error)) from error

    def _error(self, page_id: str, reason: str) -> PageRenderError:
        return PageRenderError(f"page {page_id}: cannot be rendered ({reason})")

    def _stand_in(self, page_id: str, error: PageRenderError) -> Path:
        if page_id not in self.replaced:
            _LOG.warning("%s; a blank page is shown in its place", error)
            self.replaced[page_id] = str(error)
        path = self._file(self._source(page_id)).with_suffix(".blank.png")
        if not path.exists():
            image = Image.new("RGB", self.size(page_id), "white")
            ImageDraw.Draw(image).text((8, 8), STAND_IN, fill="black")
            with atomic_path(path) as temporary:
                image.save(temporary, format="PNG")
        return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between threads and processes alike; the system drops it if the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
