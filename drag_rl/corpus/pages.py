"""The folder of pages (``PAGES_DIR``): ``pages.parquet`` and its manifest, written and read in one place."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from drag_rl.errors import InputError
from drag_rl.files.folders import new_files
from drag_rl.files.manifest import Manifest, Problem, read_manifest, write_manifest
from drag_rl.files.parquet import iter_rows, write_rows
from drag_rl.types import Page

PAGES_FILE = "pages.parquet"
STAGES = ("ingest", "pool", "convert")
"""Stages that write folders of pages: those of ``drag ingest``, ``drag data build`` and ``drag data convert``."""
DEFAULT_DPI = 96
"""Resolution of page images unless the corpus says otherwise: a letter page is 816 x 1056 pixels."""


PDF_DIR, IMAGE_DIR = "pdf_dir", "image_dir"
"""Settings of the manifest: the folder of PDFs, or of images, that the pages are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """What most readers need of a :class:`Page`, which takes twice as long to read."""

    page_id: str
    doc_id: str
    page_number: int
    text: str
    status: Literal["ok", "failed"]


AnyPage = TypeVar("AnyPage", Page, PageText)


class _Fingerprint:
    """SHA-256 over the ids and texts of pages, in order; the same wherever and however they were read."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def watch(self, pages: Iterable[AnyPage]) -> Iterator[AnyPage]:
        for page in pages:
            for value in (page.page_id, page.text):
                data = value.encode()
                self._digest.update(len(data).to_bytes(8, "big") + data)
            yield page

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def fingerprint_of(pages: Iterable[Page]) -> str:
    """The corpus fingerprint: hex SHA-256 over page ids and texts, in the given order."""
    fingerprint = _Fingerprint()
    for _ in fingerprint.watch(pages):
        pass
    return fingerprint.hexdigest()


def write_pages(
    pages_dir: Path,
    pages: Iterable[Page],
    *,
    stage: str,
    pdf_dir: Path | None,
    image_dir: Path | None = None,
    dpi: int = DEFAULT_DPI,
    inputs: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    counts: Mapping[str, int] | None = None,
    problems: Sequence[Problem] = (),
    seconds: float = 0.0,
    names: Sequence[str] = (PAGES_FILE,),
    write_more: Callable[[Path], None] = lambda _folder: None,
    option: str = "--out",
) -> Manifest:
    """Write a folder of pages: rows sorted by ``(doc_id, page_number)``, then the manifest.

    ``pdf_dir`` or ``image_dir`` is where page images come from (both None: there are none); it is kept as given, and
    relative to ``pages_dir``, so both may move together. Page counts are added to ``counts``, and
    the time that writing took, the iteration's included, to ``seconds``. ``write_more`` writes the other files of
    ``names`` into the folder that it is given: all appear together, see
    ``drag_rl.files.folders.new_files``. Raises ``InputError`` if ``pages_dir``, which the user knows as ``option``,
    holds a file of that name from elsewhere.
    """
    started = time.monotonic()
    fingerprint = _Fingerprint()
    totals = {"pages": 0, "pages_failed": 0, "pages_ocr": 0, "pages_without_text": 0}

    def counted() -> Iterator[Page]:
        for page in fingerprint.watch(_sorted(pages)):
            totals["pages"] += 1
            totals["pages_failed"] += page.status == "failed"
            totals["pages_ocr"] += page.text_source == "ocr"
            totals["pages_without_text"] += page.status == "ok" and not page.text
            yield page

    with new_files(pages_dir, [stage], names, option) as folder:
        write_more(folder)
        write_rows(folder / PAGES_FILE, counted(), Page)
        return write_manifest(
            folder,
            stage=stage,
            fingerprint=fingerprint.hexdigest(),
            inputs=inputs,
            config={**(config or {}), **image_config(pages_dir, pdf_dir, dpi, image_dir)},
            counts={**(counts or {}), **totals, "problems": len(problems)},
            problems=problems,
            seconds=seconds + time.monotonic() - started,
            packages=("pymupdf", "pillow"),
        )


def image_config(
    pages_dir: Path, pdf_dir: Path | None, dpi: int, image_dir: Path | None = None
) -> dict[str, Any]:
    """The manifest's settings that say where page images come from."""
    config: dict[str, Any] = {"dpi": dpi}
    for name, folder in {PDF_DIR: pdf_dir, IMAGE_DIR: image_dir}.items():
        if folder is not None or name == PDF_DIR:
            config[name] = None if folder is None else str(folder)
            config[f"{name}_from_pages"] = (
                None if folder is None else os.path.relpath(folder.resolve(), pages_dir.resolve())
            )
    return config


def source_dir_of(pages_dir: Path, manifest: Manifest | None = None) -> Path | None:
    """The folder of PDFs, or of images, that a folder of pages was made from; None if there was none.

    Raises ``InputError`` if it is no longer there.
    """
    config = (manifest or read_manifest(pages_dir)).config
    return _folder_of(pages_dir, config, PDF_DIR) or _folder_of(pages_dir, config, IMAGE_DIR)


def pdf_dir_of(pages_dir: Path, manifest: Manifest | None = None) -> Path | None:
    """The folder of PDFs that a folder of pages was made from; None if there was none.

    Raises ``InputError`` if it is no longer there.
    """
    return _folder_of(pages_dir, (manifest or read_manifest(pages_dir)).config, PDF_DIR)


def _folder_of(pages_dir: Path, config: Mapping[str, Any], name: str) -> Path | None:
    if not config.get(name):
        return None
    candidates = [Path(config[name]), pages_dir / str(config.get(f"{name}_from_pages", ""))]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    what = "PDF folder" if name == PDF_DIR else "folder of images"
    raise InputError(f"{pages_dir}: its {what} {candidates[0]} is gone; put it back or run drag ingest again")


def pages_manifest(pages_dir: Path) -> Manifest:
    """The manifest of a folder of pages; raises ``InputError`` if there is none, or the folder is not one of pages."""
    manifest = read_manifest(pages_dir)
    if manifest.stage not in STAGES:
        raise InputError(
            f"{pages_dir}: is not a folder of pages but was made by {manifest.stage}; give one of `drag ingest`"
        )
    return manifest


def load_pages(pages_dir: Path) -> list[Page]:
    """All pages of a folder, failed ones too, by ``(doc_id, page_number)``; see :func:`stream_pages`."""
    return list(stream_pages(pages_dir, Page))


def stream_pages(pages_dir: Path, row_type: type[AnyPage]) -> Iterator[AnyPage]:
    """The same one after another, as ``Page`` or ``PageText``, so that they need not fit in memory.

    Raises ``InputError`` if the folder is missing, unfinished or damaged, and, after the last page, if it does not
    match its manifest.
    """
    manifest = pages_manifest(pages_dir)
    fingerprint = _Fingerprint()
    yield from fingerprint.watch(_sorted(iter_rows(pages_dir / PAGES_FILE, row_type)))
    if fingerprint.hexdigest() != manifest.fingerprint:
        raise InputError(
            f"{pages_dir / PAGES_FILE}: does not match its manifest; make the folder of pages again"
        )


def _sorted(pages: Iterable[AnyPage]) -> Iterator[AnyPage]:
    """The same pages; raises ``InputError`` if one is duplicated or out of order."""
    last: tuple[str, int] | None = None
    for page in pages:
        key = (page.doc_id, page.page_number)
        if last is not None and key <= last:
            raise InputError(
                f"page {page.page_id} is duplicated or out of order; make the folder of pages again"
            )
        last = key
        yield page
