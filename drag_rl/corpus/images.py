"""Images of pages: rendered from the PDF when first asked for, then kept on disk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf
from PIL import Image, ImageDraw

from drag_rl.corpus.pages import DEFAULT_DPI, PAGES_FILE, pages_manifest, pdf_dir_of
from drag_rl.corpus.redactions import Box, read_redactions
from drag_rl.corpus.sources import PDF_ERRORS, UnreadablePdfError, one_line, open_pdf
from drag_rl.errors import InputError
from drag_rl.manifest import atomic_path, package_version, sha256_file
from drag_rl.parquet import iter_rows

DEFAULT_MAX_PIXELS = 1 << 20
"""A letter page at 96 dpi fits."""
OPEN_DOCUMENTS = 4
"""PDFs held open at a time."""

_MUPDF = threading.Lock()
"""MuPDF must not be used by two threads at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What an image of a page depends on: the columns of ``types.Page`` that are read here."""

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

    Safe to use from several threads and processes at once: an image is rendered once, and is whole when it
    appears.
    """

    def __init__(
        self,
        pages_dir: Path,
        cache_dir: Path | None = None,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        pdf_dir: Path | None = None,
    ) -> None:
        """Find the pages; raises ``InputError`` if the folder of pages is unfinished or has no PDFs.

        ``cache_dir`` is ``images`` in the folder of pages by default; ``pdf_dir`` the folder that it was
        made from. Images have the corpus's resolution, or less where that would be more than
        ``max_pixels``.
        """
        manifest = pages_manifest(pages_dir)
        found = pdf_dir or pdf_dir_of(pages_dir, manifest)
        if found is None:
            raise InputError(
                f"{pages_dir}: made from an OCR file, so it has no page images; use text observations"
            )
        if max_pixels < 1:
            raise InputError(f"max_pixels is {max_pixels}; it must be 1 or more")
        self._pages_dir = pages_dir
        self._pdf_dir = found
        self._cache_dir = cache_dir or pages_dir / "images"
        self._max_pixels = max_pixels
        self._dpi = int(manifest.config.get("dpi", DEFAULT_DPI))
        self._sources = {source.page_id: source for source in iter_rows(pages_dir / PAGES_FILE, _Source)}
        self._redactions = read_redactions(pages_dir)
        self._documents: OrderedDict[str, Any] = OrderedDict()

    def size(self, page_id: str) -> tuple[int, int]:
        """Width and height of a page's image in pixels, without rendering it."""
        source = self._source(page_id)
        scale = fitting_scale(source.width_pt, source.height_pt, self._dpi, self._max_pixels)
        return math.ceil(source.width_pt * scale), math.ceil(source.height_pt * scale)

    def load(self, page_id: str) -> Image.Image:
        """The RGB image of a page; raises ``InputError`` as ``path`` does."""
        path = self.path(page_id)
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except OSError:
            path.unlink(missing_ok=True)
        with Image.open(self.path(page_id)) as image:
            return image.convert("RGB")

    def path(self, page_id: str) -> Path:
        """The PNG file of a page, rendered if there is none yet.

        Raises ``InputError`` if the page is unknown or failed, its PDF is gone or has changed, or cannot be
        rendered.
        """
        source = self._source(page_id)
        boxes = self._redactions.get(page_id, ())
        facts = [
            source.source_sha256,
            source.page_number,
            self._dpi,
            self._max_pixels,
            boxes,
            package_version("pymupdf"),
        ]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        path = self._cache_dir / key[:2] / f"{key}.png"
        if path.exists():
            return path
        with _locked(self._cache_dir / f"{key[:2]}.lock"):
            if not path.exists():
                image = self._render(source, boxes)
                with atomic_path(path) as temporary:
                    image.save(temporary, format="PNG")
        return path

    def _source(self, page_id: str) -> _Source:
        source = self._sources.get(page_id)
        if source is None:
            raise InputError(f"{self._pages_dir}: has no page {page_id}")
        if source.status != "ok":
            raise InputError(f"{self._pages_dir}: page {page_id} failed at ingest ({source.reason})")
        return source

    def _render(self, source: _Source, boxes: Sequence[Box]) -> Image.Image:
        with _MUPDF:
            document = self._document(source)
            try:
                page = document.load_page(source.page_number - 1)
                scale = fitting_scale(page.rect.width, page.rect.height, self._dpi, self._max_pixels)
                pixmap = page.get_pixmap(
                    matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB, alpha=False
                )
                image = Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)
                shown = [pymupdf.Rect(box) * page.rotation_matrix * scale for box in boxes]
            except PDF_ERRORS as error:
                raise InputError(f"page {source.page_id}: cannot be rendered ({one_line(error)})") from error
        draw = ImageDraw.Draw(image)
        for box in shown:
            corners = math.floor(box.x0), math.floor(box.y0), math.ceil(box.x1), math.ceil(box.y1)
            draw.rectangle(corners, fill="white")
        return image

    def _document(self, source: _Source) -> Any:
        """The open PDF of a page, checked when it is opened to be the one that was ingested."""
        if source.source_file in self._documents:
            self._documents.move_to_end(source.source_file)
            return self._documents[source.source_file]
        path = self._pdf_dir / source.source_file
        advice = "put it back or run drag ingest again"
        try:
            if sha256_file(path) != source.source_sha256:
                raise InputError(f"{path}: has changed since it was ingested; {advice}")
            document = open_pdf(path)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}; {advice}") from error
        except UnreadablePdfError as error:
            raise InputError(f"{path}: {error}; {advice}") from error
        self._documents[source.source_file] = document
        if len(self._documents) > OPEN_DOCUMENTS:
            self._documents.popitem(last=False)[1].close()
        return document


def fitting_scale(width_pt: float, height_pt: float, dpi: int, max_pixels: int) -> float:
    """Pixels per point: ``dpi / 72``, or less to keep an image, sides rounded up, within ``max_pixels``.

    >>> fitting_scale(720, 720, dpi=72, max_pixels=10**6), fitting_scale(720, 720, dpi=72, max_pixels=360**2)
    (1.0, 0.5)
    """
    scale = min(dpi / 72, math.sqrt(max_pixels / (width_pt * height_pt)))
    while (width := math.ceil(width_pt * scale)) * (height := math.ceil(height_pt * scale)) > max_pixels:
        if width == 1 or height == 1:
            return min(scale, max_pixels / max(width_pt, height_pt))
        scale *= 0.999
    return scale


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between threads and processes alike; the system drops it if the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
