"""Read the pages of a document of images: size, text from beside the image or by OCR, each failure with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image

from drag_rl.corpus.clean_text import clean_text, is_legible, join_broken_words
from drag_rl.corpus.image_pages import count_pages, placed, read_page_image, split_place
from drag_rl.corpus.image_sources import ImageSource, PageFile
from drag_rl.corpus.pdf_pages import (
    MAX_OCR_PIXELS,
    NO_TESSERACT,
    DocumentResult,
    ReadOptions,
    problems_of,
)
from drag_rl.corpus.recognition import recognise
from drag_rl.corpus.sources import PDF_ERRORS, one_line
from drag_rl.files.manifest import sha256_file
from drag_rl.image_file import ImageFileError
from drag_rl.types import Page

OCR_SIDE, MAX_OCR_ZOOM = 2200, 3
"""An image whose longer side has fewer pixels than a letter page at 200 dpi is enlarged for OCR, so often at most."""

MAX_TEXT_BYTES = 1 << 24
"""Bytes that the text of a file may have, at most."""
CHANGED = "changed while the corpus was read; run again"


def read_image_document(
    folder: Path,
    source: ImageSource,
    options: ReadOptions,
    *,
    unreadable: Mapping[int, str] | None = None,
    on_page: Callable[[int, int], None] = lambda _number, _count: None,
) -> DocumentResult:
    """Read a document of images; never raises for what is in them. See ``drag_rl.corpus.pdf_pages.read_document``."""
    unreadable = unreadable or {}
    rows = list(_rows(folder, source, on_page))
    pages = []
    for page, file in rows:
        on_page(page.page_number, len(rows))
        reason = unreadable.get(page.page_number, page.reason)
        pages.append(replace(page, reason=reason) if reason else _read(folder, page, file, options))
    texts = join_broken_words([page.text for page in pages])
    pages = [
        page if file.text_file else replace(page, text=text)
        for page, (_, file), text in zip(pages, rows, texts, strict=True)
    ]
    changed = any(page.reason == CHANGED for page in pages)
    return DocumentResult(
        pages=tuple(pages),
        problems=tuple(problems_of(source.file, pages)),
        given_up=bool(unreadable) or changed,
    )


def _rows(
    folder: Path, source: ImageSource, on_page: Callable[[int, int], None]
) -> Iterator[tuple[Page, PageFile]]:
    """A failed row for each page, with the file that it is in; one that may be read has no reason yet."""
    last = 0
    for image in source.images:
        on_page(0, 0)
        count, reason = 1, image.problem
        if not reason:
            count, reason = _look_at(folder / image.file, image.sha256)
        if image.number and count > 1:
            count, reason = 1, f"holds {count} images, where one page is expected"
        first = image.number or last + 1
        for place in range(1, count + 1):
            last = first + place - 1
            page = Page(
                page_id=f"{source.doc_id}#{last}",
                doc_id=source.doc_id,
                page_number=last,
                label="",
                text="",
                width_pt=0.0,
                height_pt=0.0,
                source_file=placed(image.file, place, count),
                source_sha256=image.sha256,
                text_source="none",
                status="failed",
                reason=reason,
            )
            yield page, image


def _look_at(path: Path, sha256: str) -> tuple[int, str]:
    """How many pages a file has, and why it cannot be read; empty if it can."""
    try:
        if sha256_file(path) != sha256:
            return 1, CHANGED
        return count_pages(path), ""
    except ImageFileError as error:
        return 1, error.reason
    except OSError as error:
        return 1, f"cannot be read ({one_line(error)})"


def _read(folder: Path, page: Page, file: PageFile, options: ReadOptions) -> Page:
    name, place = split_place(page.source_file)
    try:
        image = read_page_image(folder / name, place)
    except ImageFileError as error:
        return replace(page, reason=error.reason)
    page = replace(page, width_pt=float(image.width), height_pt=float(image.height), status="ok")
    text, problem = _text_beside(folder, file, page)
    if options.ocr == "off" or (options.ocr == "auto" and is_legible(text)):
        return _with_text(page, text, problem or "no text beside the image")
    if not options.tessdata:
        return _with_text(page, text, NO_TESSERACT)
    try:
        return _with_text(page, _recognise(image, options), "OCR found no text")
    except PDF_ERRORS as error:
        return _with_text(page, text, f"OCR failed ({one_line(error)})")


def _with_text(page: Page, text: str, why_none: str) -> Page:
    return replace(page, text=text, text_source="ocr") if is_legible(text) else replace(page, reason=why_none)


def _text_beside(folder: Path, file: PageFile, page: Page) -> tuple[str, str]:
    """The text of a page from the file beside its image, and what is wrong with it; empty where there is none."""
    if not file.text_file:
        return "", ""
    try:
        with (folder / file.text_file).open("rb") as source:
            data = source.read(MAX_TEXT_BYTES + 1)
        if len(data) > MAX_TEXT_BYTES:
            return "", f"{file.text_file} has more than {MAX_TEXT_BYTES} bytes"
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "", f"{file.text_file} is not UTF-8"
    except OSError as error:
        return "", f"{file.text_file} cannot be read ({one_line(error)})"
    name, place = split_place(page.source_file)
    if name != page.source_file:  # one of several pages
        text = "".join(text.split("\f")[place - 1 : place])
    return clean_text(text), ""


def _recognise(image: Image.Image, options: ReadOptions) -> str:
    """The text of an image by Tesseract."""
    zoom = min(MAX_OCR_ZOOM, max(1.0, OCR_SIDE / max(image.size)))
    zoom = min(zoom, math.sqrt(MAX_OCR_PIXELS / (image.width * image.height)))
    image = image.resize((max(1, round(image.width * zoom)), max(1, round(image.height * zoom))))
    return recognise(image, language=options.ocr_language, tessdata=options.tessdata)
