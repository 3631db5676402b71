"""Read the pages of one PDF: text in order or by OCR, label, size, each failure with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from drag_rl.corpus.clean_text import clean_text, is_legible, join_broken_words, letters_in
from drag_rl.corpus.page_text import text_of
from drag_rl.corpus.recognition import recognise
from drag_rl.corpus.sources import PDF_ERRORS, Source, UnreadablePdfError, one_line, open_pdf
from drag_rl.files.manifest import Problem, sha256_file
from drag_rl.mupdf import pymupdf
from drag_rl.types import Page

OcrMode = Literal["auto", "off", "force"]

OCR_DPI = 200
"""Resolution at which pages are recognised; Tesseract's errors rise quickly below it."""
MAX_OCR_PIXELS = 50_000_000
"""Pixels of the image that OCR reads, at most; larger pages are recognised at a lower resolution."""
MAX_STYLED_LABEL = 4000
"""From this number on a label is written in digits, whatever its style says."""
MAX_SIDE_PT = 14400.0
"""The longest page side that PDF allows, in points (200 inches)."""
FEW_LETTERS = 50
"""A page with fewer letters and digits than this that is mostly an image is taken for a scan."""

NO_TESSERACT = "no text layer, and Tesseract is not installed"
"""The reason of a page that waits for OCR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of reading, on which the text of a page depends."""

    ocr: OcrMode = "auto"
    """``auto``: where the text layer is missing or illegible; ``force``: everywhere."""
    ocr_language: str = "eng"
    """Tesseract's language names, joined with ``+``."""
    tessdata: str = ""
    """Folder of Tesseract's language files; empty when there is none, and then nothing is recognised."""
    tessdata_sha256: str = ""
    """Fingerprint of the language files: what is read depends on them, and not on where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentResult:
    """The pages of one document, and what went wrong."""

    pages: tuple[Page, ...]
    """The pages in order; empty if the document could not be opened."""
    problems: tuple[Problem, ...]
    given_up: bool = False
    """Whether a crash or a time-out took pages away, so that another run may fare better."""


def read_document(
    pdf_dir: Path,
    source: Source,
    options: ReadOptions,
    *,
    unreadable: Mapping[int, str] | None = None,
    on_page: Callable[[int, int], None] = lambda _number, _count: None,
) -> DocumentResult:
    """Read a PDF; never raises for what is in it.

    ``unreadable`` holds 1-based numbers of pages that are not to be touched, each with its reason;
    ``on_page`` is told each page's number before it is read, and how many there are.
    """
    unreadable = unreadable or {}
    path = pdf_dir / source.file
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    pymupdf.TOOLS.reset_mupdf_warnings()
    try:
        digest = sha256_file(path)
        document = open_pdf(path)
    except (UnreadablePdfError, OSError) as error:
        return failed_document(source, one_line(error))
    if digest != source.sha256:
        return failed_document(source, "changed while the corpus was read; run again", given_up=True)
    with document:
        labels = _page_labels(document)
        pages: list[Page] = []
        for number in range(1, document.page_count + 1):
            on_page(number, document.page_count)
            page = Page(
                page_id=f"{source.doc_id}#{number}",
                doc_id=source.doc_id,
                page_number=number,
                label=labels[number - 1],
                text="",
                width_pt=0.0,
                height_pt=0.0,
                source_file=source.file,
                source_sha256=digest,
                text_source="none",
                status="failed",
                reason=unreadable.get(number, ""),
            )
            pages.append(page if number in unreadable else _read_page(document, page, options))
        problems = (*_damage(source.file, repaired=document.is_repaired), *problems_of(source.file, pages))
    texts = join_broken_words([page.text for page in pages])
    joined = tuple(replace(page, text=text) for page, text in zip(pages, texts, strict=True))
    return DocumentResult(pages=joined, problems=problems, given_up=bool(unreadable))


def failed_document(source: Source, reason: str, *, given_up: bool = False) -> DocumentResult:
    """The result of a document of which no page can be read."""
    problem = Problem(where=source.file, reason=reason)
    return DocumentResult(pages=(), problems=(problem,), given_up=given_up)


def _read_page(document: Any, page: Page, options: ReadOptions) -> Page:
    try:
        loaded = document.load_page(page.page_number - 1)
        rect = loaded.rect
        page = replace(page, width_pt=float(rect.width), height_pt=float(rect.height), status="ok")
        layer = text_of(loaded)
        if options.ocr == "off" or (options.ocr == "auto" and not _is_scan(loaded, layer)):
            # What a page draws takes as long as its text, so it is looked at only where there is none.
            blank = not is_legible(layer) and not loaded.get_bboxlog()
            return _with_text(page, layer, "pdf", "blank page" if blank else "")
        if not options.tessdata:
            return _with_text(page, layer, "pdf", NO_TESSERACT)
        recognised = _recognise(loaded, options)
    except PDF_ERRORS as error:
        return replace(page, status="failed", reason=f"cannot be read ({one_line(error)})")
    if options.ocr == "auto" and len(recognised) < len(layer) and is_legible(layer):
        return _with_text(page, layer, "pdf", "")
    return _with_text(page, recognised, "ocr", "OCR found no text")


def _with_text(page: Page, text: str, source: Literal["pdf", "ocr"], why_none: str) -> Page:
    if not is_legible(text):
        return replace(page, reason=why_none or "no legible text layer")
    return replace(page, text=text, text_source=source)


def _is_scan(page: Any, layer: str) -> bool:
    """Whether what the page shows is not in its text layer."""
    if not is_legible(layer):
        return bool(page.get_bboxlog())
    if letters_in(layer) >= FEW_LETTERS:
        return False
    shown = sum(abs(pymupdf.Rect(image["bbox"]) & page.rect) for image in page.get_image_info())
    return bool(shown >= 0.5 * abs(page.rect))


def _recognise(page: Any, options: ReadOptions) -> str:
    """The text of the page as it is shown, which a scanner may have turned, by Tesseract."""
    fitting_dpi = 72 * math.sqrt(MAX_OCR_PIXELS / max(abs(page.rect), 1.0))
    shown = page.get_pixmap(dpi=max(1, int(min(OCR_DPI, fitting_dpi))))
    image = Image.frombytes("RGB", (shown.width, shown.height), shown.samples)
    return recognise(image, language=options.ocr_language, tessdata=options.tessdata)


def _page_labels(document: Any) -> list[str]:
    """The printed labels of all pages; asking PyMuPDF for one reads the whole table, so this asks once."""
    labels = [""] * document.page_count
    try:
        rules = sorted(document.get_page_labels(), key=lambda rule: rule["startpage"])
        ends = [rule["startpage"] for rule in rules[1:]] + [len(labels)]
        for rule, end in zip(rules, ends, strict=True):
            style, first = rule.get("style", ""), rule.get("firstpagenum", 1)
            for offset in range(max(0, min(end, len(labels)) - rule["startpage"])):
                number = first + offset - (style in ("a", "A"))
                readable = style if 0 <= number < MAX_STYLED_LABEL else "D"
                label = (
                    pymupdf.utils.construct_label(readable, rule.get("prefix", ""), number)
                    if style
                    else rule["prefix"]
                )
                labels[rule["startpage"] + offset] = clean_text(label)
    except PDF_ERRORS:
        return [""] * document.page_count
    return labels


def _damage(file: str, *, repaired: bool) -> Iterator[Problem]:
    warnings = clean_text(pymupdf.TOOLS.mupdf_warnings()).splitlines()
    if repaired or warnings:
        what = "damaged and repaired, pages may be missing" if repaired else "damaged in part"
        first = f" ({len(warnings)} warnings, first: {warnings[0][:150]})" if warnings else ""
        yield Problem(where=file, reason=what + first)


def problems_of(file: str, pages: Sequence[Page]) -> Iterator[Problem]:
    """What went wrong with the pages of a document, of which ``file`` is the name."""
    for page in pages:
        if page.status == "failed":
            yield Problem(where=page.page_id, reason=page.reason)
        elif max(page.width_pt, page.height_pt) > MAX_SIDE_PT:
            size = f"{page.width_pt:.0f} x {page.height_pt:.0f} points"
            yield Problem(where=page.page_id, reason=f"absurdly large page ({size}), its image is coarse")
    unrecognised = sum(page.reason == NO_TESSERACT for page in pages)
    if unrecognised:
        yield Problem(where=file, reason=f"{unrecognised} pages have {NO_TESSERACT}")
