"""What pixels add where half of the pages have no text: BM25, BM25 with Tesseract, the reader, and both together.

    python benchmarks/half_textless.py PAGES QUESTIONS.parquet VISUAL_INDEX WORK DOC_ID [DOC_ID ...]

Of the pages of the documents that are named every other one, drawn at random, loses its text layer; VISUAL_INDEX is a
late index of PAGES (`drag index --kind late --model reader`), which sees the same images as before. Tesseract (which
must be installed) reads the pages without text from JPEG files at 150 dpi, as in benchmarks/scanned.py. Printed: `drag
compare` of the raw question on the questions whose gold pages are in these documents, over every index, first that with
Tesseract.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scanned import drag, scan, select

from drag_rl.corpus.pages import PAGES_FILE, load_pages, pdf_dir_of, write_pages
from drag_rl.corpus.redactions import REDACTIONS_FILE
from drag_rl.retrieval import open_retriever

FUSED = ("rrf", "sum")


def main(pages_dir: Path, questions: Path, visual: Path, work: Path, doc_ids: list[str]) -> None:
    """Remove, recognise, index, evaluate and compare."""
    searched = open_retriever(visual).pages
    pages = [page for page in load_pages(pages_dir) if page.page_id in searched]
    ours = [page for page in pages if page.doc_id in doc_ids]
    order = np.random.default_rng(0).permutation(len(ours))
    bare = [ours[place] for place in sorted(order[: len(ours) // 2])]
    scan(pages_dir, bare, work / "images")
    drag("ingest", "--image-dir", work / "images", "--out", work / "recognised", "--ocr", "force")
    recognised = {page.page_id: page.text for page in load_pages(work / "recognised")}
    named = {}
    for doc_id in doc_ids:  # a folder of images counts its pages from 1
        for number, page in enumerate((page for page in bare if page.doc_id == doc_id), 1):
            named[page.page_id] = recognised[f"{doc_id}#{number}"]
    texts = {"half": dict.fromkeys(named, ""), "tesseract": named}
    indexes = {"pixels": visual}
    for name, text in texts.items():
        mixed = [replace(page, text=text.get(page.page_id, page.text)) for page in pages]
        folder = work / name
        write_pages(
            folder / "pages",
            mixed,
            stage="ingest",
            pdf_dir=pdf_dir_of(pages_dir),
            names=(PAGES_FILE, REDACTIONS_FILE),
            write_more=lambda made: shutil.copy(pages_dir / REDACTIONS_FILE, made / REDACTIONS_FILE),
        )
        drag("index", "--pages", folder / "pages", "--out", folder / "index")
        indexes[name] = folder / "index"
        if not (
            folder / "visual"
        ).exists():  # the pages look as before, so what is known of them is taken over
            shutil.copytree(visual, folder / "visual")
        options = ("--kind", "late", "--model", "reader")
        drag("index", *options, "--pages", folder / "pages", "--out", folder / "visual")
    for name in texts:
        for method in FUSED:
            fused = work / f"{name}-pixels-{method}"
            drag(
                *("index", "--kind", "fuse", "--method", method),
                *("--part", indexes[name], "--part", work / name / "visual", "--out", fused),
            )
            indexes[fused.name] = fused
    drag("index", "--pages", pages_dir, "--out", work / "whole")
    indexes["whole"] = work / "whole"
    asked = work / questions.name
    select(questions, asked, doc_ids)
    results = {name: work / "results" / f"{name}.json" for name in ("tesseract", *indexes)}
    for name, result in results.items():
        options = ("--index", indexes[name], "--episode", "max_turns=1", "--policy", "raw-question")
        drag("evaluate", "--questions", asked, "--output", result, *options)
    drag("compare", *results.values(), "--across-indexes", "--out", work / "comparison")


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
