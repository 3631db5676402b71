"""Pages a second of `drag ingest` against a bare loop of PyMuPDF over as many processes.

    python benchmarks/ingest.py data/pdfs             one process a CPU
    python benchmarks/ingest.py data/pdfs 2

The bare loop opens each PDF, takes the text of each page as the file has it, and keeps nothing. `drag ingest` puts
lines in reading order, joins broken words, leaves out what nobody can read, survives PDFs that stall or kill a reader,
can be resumed, and writes the folder of pages with its checksums. Both take turns; read the ratio.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

from drag_rl.corpus.ingest import ingest_pdfs
from drag_rl.corpus.mupdf import pymupdf
from drag_rl.corpus.pdf_pages import ReadOptions

ROUNDS = 3


def main(pdf_dir: Path, workers: int) -> None:
    """Print the table."""
    pdfs = sorted(pdf_dir.rglob("*.pdf"))
    if not pdfs:
        sys.exit(f"{pdf_dir}: has no .pdf file")
    pages, rounds = 0, []
    for _ in range(ROUNDS):
        started = perf_counter()
        # A fresh process reads each PDF, so that none gains from what another has loaded.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            pages = sum(pool.map(bare, pdfs))
        bare_s = perf_counter() - started
        with tempfile.TemporaryDirectory() as folder:
            started = perf_counter()
            ingest_pdfs(pdf_dir, Path(folder) / "pages", ReadOptions(ocr="off"), workers=workers)
            rounds.append((bare_s, perf_counter() - started))
    table = Table(
        "", "pages/s", "of the bare loop", title=f"{pages} pages of {len(pdfs)} PDFs, {workers} processes"
    )
    table.add_row("bare PyMuPDF", f"{pages / median(bare for bare, _ in rounds):,.0f}", "1.00 x")
    ratio = median(bare / own for bare, own in rounds)
    table.add_row("drag ingest", f"{pages / median(own for _, own in rounds):,.0f}", f"{ratio:.2f} x")
    Console().print(
        table, f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
    )


def bare(pdf: Path) -> int:
    """Take the text of every page of a PDF; returns how many pages there are."""
    with pymupdf.open(pdf) as document:
        for page in document:
            page.get_text()
        return int(document.page_count)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else os.cpu_count() or 1)
