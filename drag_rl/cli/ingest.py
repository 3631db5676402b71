"""``drag ingest``: read PDFs, images, or an OCR file, into a folder of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from drag_rl.corpus.document_bar import document_bar
from drag_rl.corpus.ingest import Ingested, ingest_images, ingest_ocr_file, ingest_pdfs
from drag_rl.corpus.pages import DEFAULT_DPI
from drag_rl.corpus.pdf_pages import NO_TESSERACT, OcrMode
from drag_rl.corpus.reading_options import RAY, WORKERS, reading_of
from drag_rl.corpus.tesseract import read_options
from drag_rl.errors import InputError
from drag_rl.files.outputs import refuse_overlap

SHOWN_PROBLEMS = 10


def ingest(
    out: Annotated[Path, typer.Option(help="The folder of pages to write.")],
    pdf_dir: Annotated[
        Path | None, typer.Option(help="Folder of .pdf and .pdf.gz files, searched with its subfolders.")
    ] = None,
    image_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of page images: a sub-folder is a document whose images, in natural order, are its pages, an "
            "image in none is a document; the text of page.png may stand in page.txt."
        ),
    ] = None,
    ocr_file: Annotated[
        Path | None, typer.Option(help="JSON lines with the text of each page: file, page, text.")
    ] = None,
    ocr: Annotated[
        OcrMode,
        typer.Option(help="Recognise text with Tesseract where a page has none (auto), nowhere, everywhere."),
    ] = "auto",
    ocr_language: Annotated[str, typer.Option(help="Tesseract's languages, such as eng or eng+deu.")] = "eng",
    dpi: Annotated[
        int | None,
        typer.Option(
            min=18,
            max=600,
            help="Resolution of the images of PDF pages (OCR always works at 200).",
            show_default=str(DEFAULT_DPI),
        ),
    ] = None,
    workers: WORKERS = None,
    ray: RAY = False,
) -> None:
    """Read a folder of PDFs, a folder of images, or an OCR file, into a folder of pages.

    What cannot be read is listed, and kept in OUT/manifest.json; the rest goes on. A run that was stopped
    goes on where it was, and one that finds nothing changed does nothing.
    """
    console = Console(stderr=True)
    if sum(source is not None for source in (pdf_dir, image_dir, ocr_file)) != 1:
        raise InputError("give one of --pdf-dir, --image-dir and --ocr-file")
    if dpi is not None and pdf_dir is None:
        raise InputError(f"--dpi {dpi}: is for PDFs; images are shown with their own pixels")
    refuse_overlap({"--out": out}, {"--pdf-dir": pdf_dir, "--image-dir": image_dir, "--ocr-file": ocr_file})
    if ocr_file is not None:
        _report(console, ingest_ocr_file(ocr_file, out), out)
        return
    options = read_options(ocr, ocr_language)
    with document_bar() as watch:
        run: dict[str, Any] = {**reading_of(workers, ray), **watch}
        if image_dir is not None:
            done = ingest_images(image_dir, out, options, **run)
        else:
            assert pdf_dir is not None
            done = ingest_pdfs(pdf_dir, out, options, dpi=dpi or DEFAULT_DPI, **run)
    _report(console, done, out)


def _report(console: Console, done: Ingested, out: Path) -> None:
    counts, problems = done.manifest.counts, done.manifest.problems
    say = Console(soft_wrap=True, highlight=False)
    say.print(
        f"{out}: {counts['pages']} pages of {counts['documents']} documents"
        f" ({counts['pages_failed']} failed, {counts['pages_ocr']} by OCR,"
        f" {counts['pages_without_text']} without text)"
        + (", up to date" if done.up_to_date else f", {done.documents_read} documents read now"),
        markup=False,
    )
    if not problems:
        return
    for problem in problems[:SHOWN_PROBLEMS]:
        console.print(f"  {problem.where}: {problem.reason}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(problems)} problems, all of them listed in {out / 'manifest.json'}", markup=False)
    if any(NO_TESSERACT in problem.reason for problem in problems):
        console.print(
            "Install Tesseract and its language files, then run again, to read the scanned pages.",
            soft_wrap=True,
        )
