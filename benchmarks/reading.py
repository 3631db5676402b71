"""How a PDF is read decides what is found: the question itself, by BM25, over pages as several readers give them.

    python benchmarks/reading.py data/pages data/questions.test.parquet results/reading

`data/pages` was made from PDFs by `drag ingest` or `drag data convert`. The readers: ours, as the pages are; PyMuPDF's
plain text, in the order in which the file draws it and sorted by place; and pymupdf4llm (Markdown by its layout model,
without OCR). A page that OCR has read has the same text for all of them, so that only text layers are compared.
Documents are read one after another and kept in the last folder, so that a run that was killed goes on.

Printed: what `drag evaluate --policy raw-question` and `drag compare` say, with the paired differences to ours, and the
CPU time that a page takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from time import process_time
from typing import Any

from drag_rl.corpus.pages import load_pages, pdf_dir_of, write_pages
from drag_rl.types import Page

OURS = "ours"


def _as_drawn(document: Any) -> list[str]:
    return [page.get_text() for page in document]


def _sorted(document: Any) -> list[str]:
    return [page.get_text(sort=True) for page in document]


def _pymupdf4llm(document: Any) -> list[str]:
    import pymupdf4llm

    chunks = pymupdf4llm.to_markdown(document, page_chunks=True, use_ocr=False, show_progress=False)
    return [chunk["text"] for chunk in chunks]


READERS: dict[str, Callable[[Any], list[str]]] = {
    "pymupdf-as-drawn": _as_drawn,
    "pymupdf-sorted": _sorted,
    "pymupdf4llm": _pymupdf4llm,
}


def main(pages_dir: Path, questions: Path, work: Path) -> None:
    """Read, index, evaluate and compare."""
    pages = load_pages(pages_dir)
    from rich.console import Console

    seconds, read = {}, sum(page.text_source != "ocr" for page in pages)
    for name in READERS:
        seconds[name] = sum(_read(pages_dir, pages, name, work / name)) / read
    results = []
    for name in (OURS, *READERS):
        folder = work / name
        _drag("index", "--pages", pages_dir if name == OURS else folder / "pages", "--out", folder / "index")
        results.append(folder / "results" / f"{name}.json")
        asked = ("--questions", questions, "--index", folder / "index", "--episode", "max_turns=1", "--all")
        _drag("evaluate", *asked, "--policy", "raw-question", "--output", results[-1])
    _drag("compare", *results, "--across-indexes", "--out", work / "comparison")
    for name, took in seconds.items():
        Console().print(f"{name}: {took * 1000:.1f} ms of CPU a page")


def _read(pages_dir: Path, pages: list[Page], name: str, folder: Path) -> Iterator[float]:
    """Make the folder of pages of a reader; the CPU seconds that each document took."""
    import pymupdf

    pymupdf.TOOLS.mupdf_display_errors(False)
    pdf_dir = pdf_dir_of(pages_dir)
    assert pdf_dir is not None, f"{pages_dir} was not made from PDFs"
    new: list[Page] = []
    for doc_id, rows in groupby(pages, key=lambda page: page.doc_id):
        of_document = list(rows)
        kept = folder / "read" / f"{doc_id.replace('/', '_')}.json"
        if not kept.exists():
            began = process_time()
            with pymupdf.open(pdf_dir / of_document[0].source_file) as document:
                texts = READERS[name](document)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({"texts": texts, "seconds": process_time() - began}), encoding="utf-8")
        found = json.loads(kept.read_text(encoding="utf-8"))
        yield found["seconds"]
        new += [
            page if page.text_source == "ocr" else replace(page, text=found["texts"][page.page_number - 1])
            for page in of_document
        ]
    write_pages(folder / "pages", new, stage="ingest", pdf_dir=None)


def _drag(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "drag_rl.cli.main", *map(str, arguments)], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
