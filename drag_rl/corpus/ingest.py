"""From a folder of PDFs or of images, or a file of OCR, to a folder of pages."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from drag_rl.corpus import image_pages
from drag_rl.corpus.image_sources import find_image_sources
from drag_rl.corpus.ocr_file import read_ocr_file
from drag_rl.corpus.pages import DEFAULT_DPI, PAGES_FILE, image_config, load_pages, write_pages
from drag_rl.corpus.parts import READER_VERSION, Parts
from drag_rl.corpus.pdf_pages import OCR_DPI, DocumentResult, ReadOptions, failed_document
from drag_rl.corpus.sources import Source, find_sources
from drag_rl.corpus.worker_pool import Progress, Reading, read_documents
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import (
    Manifest,
    Problem,
    manifest_path,
    package_version,
    read_manifest,
    sha256_file,
)

STAGE = "ingest"
PARTS_FOLDER = ".parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """The result of a run."""

    manifest: Manifest
    documents_read: int
    """Documents that this run read; the others were read by an earlier one."""
    up_to_date: bool
    """Whether nothing had changed, so that nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What is to be read: documents of PDFs, or of images."""

    kind: Literal["pdf_dir", "image_dir"]
    folder: Path
    """Where their files lie."""
    sources: Sequence[Source]
    """Sorted by document id."""
    problems: Sequence[Problem] = ()
    """What of the folder is left out."""
    dpi: int = DEFAULT_DPI
    """Resolution of page images."""

    @property
    def option(self) -> str:
        """What the user calls the folder."""
        return f"--{self.kind.replace('_', '-')} {self.folder}"

    @property
    def fingerprint(self) -> str:
        """A fingerprint of names, bytes, and what is left out."""
        listing = [
            [asdict(source) for source in self.sources],
            [asdict(problem) for problem in self.problems],
        ]
        return hashlib.sha256(json.dumps(listing, sort_keys=True).encode()).hexdigest()


def ingest_pdfs(
    pdf_dir: Path, pages_dir: Path, options: ReadOptions, *, dpi: int = DEFAULT_DPI, **run: Any
) -> Ingested:
    """Read every PDF below ``pdf_dir`` into ``pages_dir``; see :func:`ingest_documents` for the rest."""
    claim_files(pages_dir, [STAGE], [PAGES_FILE])
    sources, problems = find_sources(pdf_dir)
    documents = Documents(kind="pdf_dir", folder=pdf_dir, sources=sources, problems=problems, dpi=dpi)
    return ingest_documents(documents, pages_dir, options, **run)


def ingest_images(image_dir: Path, pages_dir: Path, options: ReadOptions, **run: Any) -> Ingested:
    """Read every image below ``image_dir`` into ``pages_dir``; see :func:`ingest_documents` for the rest.

    ``drag_rl.corpus.image_sources`` says what becomes a document.
    """
    claim_files(pages_dir, [STAGE], [PAGES_FILE])
    sources, problems = find_image_sources(image_dir)
    documents = Documents(
        kind="image_dir", folder=image_dir, sources=sources, problems=problems, dpi=image_pages.DPI
    )
    return ingest_documents(documents, pages_dir, options, **run)


def ingest_documents(
    documents: Documents,
    pages_dir: Path,
    options: ReadOptions,
    *,
    stage: str = STAGE,
    config: Mapping[str, Any] | None = None,
    option: str = "--out",
    workers: int = 1,
    read: Reading | None = None,
    on_start: Callable[[int, int], None] = lambda _done, _total: None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> Ingested:
    """Read documents into ``pages_dir``, or find that this was done before.

    What cannot be read is a failed page or a problem in the manifest. The result depends on the files and
    options alone: not on ``workers``, on where the folders are, or on how often the run was killed. ``read`` reads the
    documents, by default ``workers`` at a time on this machine; ``drag_rl.corpus.cluster_reading`` has another.
    ``on_start`` is told how many documents an earlier run has read, and how many there are. ``stage`` is what the
    manifest says made the pages, and ``config`` is added to its settings; the user knows ``pages_dir`` as ``option``.

    Raises ``InputError`` if not one page can be read, or ``pages_dir`` is another stage's; ``OSError`` if nothing can
    be written.
    """
    start_s = time.monotonic()
    claim_files(pages_dir, [stage], [PAGES_FILE], option)
    folder, sources, problems = documents.folder, documents.sources, list(documents.problems)
    inputs: dict[str, str] = {documents.kind: documents.fingerprint}
    settings = {name: value for name, value in asdict(options).items() if name != "tessdata"} | {
        "ocr_dpi": OCR_DPI,
        "reader_version": READER_VERSION,
        **(config or {}),
    }
    pdf_dir, image_dir = (folder if documents.kind == kind else None for kind in ("pdf_dir", "image_dir"))
    manifest = _finished(
        pages_dir, stage, inputs, settings | image_config(pages_dir, pdf_dir, documents.dpi, image_dir)
    )
    if manifest is not None:
        return Ingested(manifest=manifest, documents_read=0, up_to_date=True)

    parts = Parts(pages_dir / PARTS_FOLDER, options)
    parts.folder.mkdir(parents=True, exist_ok=True)
    missing = [source for source in sources if _read(parts, source).given_up]
    on_start(len(sources) - len(missing), len(sources))
    for progress in (read or partial(read_documents, workers=workers))(folder, missing, parts):
        on_progress(progress)

    documents_read = given_up = 0
    readable = False
    for source in sources:
        result = _read(parts, source)
        problems += result.problems
        documents_read += bool(result.pages)
        given_up += result.given_up
        readable = readable or any(page.status == "ok" for page in result.pages)
    if not readable:
        if not manifest_path(pages_dir).exists():
            parts.keep_only([])
            with suppress(OSError):  # what else is in the folders is not ours
                parts.folder.rmdir()
                pages_dir.rmdir()
        listed = "; ".join(f"{problem.where}: {problem.reason}" for problem in problems[:3])
        raise InputError(f"{documents.option}: not one page can be read ({len(problems)} problems: {listed})")
    manifest = write_pages(
        pages_dir,
        (page for source in sources for page in _read(parts, source).pages),
        stage=stage,
        dpi=documents.dpi,
        inputs=inputs,
        config=settings,
        counts={
            "documents": documents_read,
            "documents_failed": len(sources) - documents_read,
            "documents_given_up": given_up,
        },
        problems=problems,
        option=option,
        seconds=time.monotonic() - start_s,
        pdf_dir=pdf_dir,
        image_dir=image_dir,
    )
    parts.keep_only(sources)
    return Ingested(manifest=manifest, documents_read=len(missing), up_to_date=False)


def ingest_ocr_file(ocr_file: Path, pages_dir: Path) -> Ingested:
    """Read the pages of an OCR file into ``pages_dir``; see ``drag_rl.corpus.ocr_file`` for what it may hold.

    Raises ``InputError`` if the file cannot be read or holds no page, or ``pages_dir`` is another stage's.
    """
    start_s = time.monotonic()
    claim_files(pages_dir, [STAGE], [PAGES_FILE])
    try:
        digest = sha256_file(ocr_file)
    except OSError as error:
        raise InputError(f"--ocr-file {ocr_file}: {error.strerror}") from error
    inputs = {"ocr_file": digest}
    config = {"ocr_file": str(ocr_file), "reader_version": READER_VERSION}
    manifest = _finished(pages_dir, STAGE, inputs, config | image_config(pages_dir, None, DEFAULT_DPI))
    if manifest is not None:
        return Ingested(manifest=manifest, documents_read=0, up_to_date=True)
    pages, problems = read_ocr_file(ocr_file, digest)
    documents = len({page.doc_id for page in pages})
    manifest = write_pages(
        pages_dir,
        pages,
        stage=STAGE,
        pdf_dir=None,
        inputs=inputs,
        config=config,
        counts={"documents": documents},
        problems=problems,
        seconds=time.monotonic() - start_s,
    )
    return Ingested(manifest=manifest, documents_read=documents, up_to_date=False)


def _read(parts: Parts, source: Source) -> DocumentResult:
    return parts.load(source) or failed_document(
        source, "what was read of it is gone; run again", given_up=True
    )


def _finished(pages_dir: Path, stage: str, inputs: dict[str, str], config: dict[str, Any]) -> Manifest | None:
    """The manifest of an earlier run that read the same in the same way, if its result is whole."""
    try:
        manifest = read_manifest(pages_dir)
        if (
            manifest.stage != stage
            or manifest.inputs != inputs
            or manifest.config != config
            or manifest.versions.get("pymupdf") != package_version("pymupdf")
            or manifest.counts.get("documents_given_up", 0)
        ):
            return None
        load_pages(pages_dir)
    except InputError:
        return None
    return manifest
