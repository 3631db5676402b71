"""Pages a second of `drag ingest` against a bare loop of PyMuPDF over as many processes.

    python benchmarks/ingest.py data/pdfs             one process a CPU
    python benchmarks/ingest.py data/pdfs 2

The bare loop opens each PDF, takes the text of each page as the file has it, and keeps nothing; another one takes
each line with its place on the page, which reading order needs. `drag ingest` puts lines in reading order, joins broken
words, leaves out what nobody can read, survives PDFs that stall or kill a reader, can be resumed, and writes the folder
of pages with its checksums. They take turns; read the ratios.
"""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.table import Table

from drag_rl.console import table_console
from drag_rl.corpus.ingest import ingest_pdfs
from drag_rl.corpus.pdf_pages import ReadOptions
from drag_rl.corpus.sources import find_sources
from drag_rl.mupdf import pymupdf

ROUNDS = 3


def main(pdf_dir: Path, workers: int) -> None:
    """Print the table."""
    found, _ = find_sources(pdf_dir)
    pdfs = [pdf_dir / source.file for source in found]
    taken: dict[str, list[float]] = {
        "bare PyMuPDF": [],
        "bare PyMuPDF, lines with places": [],
        "drag ingest": [],
    }
    pages = 0
    for _ in range(ROUNDS):
        for seconds, kind in zip(taken.values(), ("text", "dict", None), strict=True):
            started = perf_counter()
            if kind:
                # Fresh processes in each round, as a command starts them.
                with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                    pages = sum(pool.map(partial(bare, kind), pdfs))
            else:
                with tempfile.TemporaryDirectory() as folder:
                    ingest_pdfs(pdf_dir, Path(folder) / "pages", ReadOptions(ocr="off"), workers=workers)
            seconds.append(perf_counter() - started)
    table = Table(
        "", "pages/s", "of the bare loop", title=f"{pages} pages of {len(pdfs)} PDFs, {workers} processes"
    )
    base = taken["bare PyMuPDF"]
    for name, seconds in taken.items():
        ratio = median(its / own for own, its in zip(seconds, base, strict=True))
        table.add_row(name, f"{pages / median(seconds):,.0f}", f"{ratio:.2f} x")
    table_console().print(
        table, f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )


def bare(kind: str, pdf: Path) -> int:
    """Take the text of every page of a PDF; returns how many pages there are."""
    packed = pdf.suffix.lower() == ".gz"
    with pymupdf.open(stream=gzip.decompress(pdf.read_bytes())) if packed else pymupdf.open(pdf) as document:
        for page in document:
            page.get_text(kind)
        return int(document.page_count)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else os.cpu_count() or 1)
