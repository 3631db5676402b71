"""Are scans found as well as the documents that they are scans of?

    python benchmarks/scanned.py data/pages data/questions.test.parquet results/scanned debian-faq R-FAQ

The pages of the documents that are named are rendered at 150 dpi in grey, without the regions that are redacted, and
become JPEG files of quality 60, a folder for each; with `TURNED=1` in the environment they lie upright, on one side,
head down and on the other side in turn. `drag ingest --image-dir` reads them (Tesseract must be installed), and the
text that it recognises takes the place of the document's own, among the other pages of the corpus as they are. Gold
pages stay the same. Printed: `drag evaluate --policy raw-question` and `drag compare` on the questions whose gold pages
are in these documents, over the original pages and over the scanned ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image

from drag_rl.corpus.pages import load_pages, pdf_dir_of, write_pages
from drag_rl.corpus.redactions import read_redactions
from drag_rl.corpus.render_request import Request
from drag_rl.corpus.renderer import shared_renderer
from drag_rl.retrieval import open_retriever
from drag_rl.types import Page

TURNED = os.environ.get("TURNED") == "1"
DPI, QUALITY, MAX_PIXELS = 150, 60, 1 << 23


def main(pages_dir: Path, questions: Path, work: Path, doc_ids: list[str]) -> None:
    """Scan, read, index, evaluate and compare."""
    pages = load_pages(pages_dir)
    scan(pages_dir, [page for page in pages if page.doc_id in doc_ids], work / "images")
    drag("ingest", "--image-dir", work / "images", "--out", work / "scanned", "--ocr", "force")
    recognised = {page.page_id: page.text for page in load_pages(work / "scanned")}
    drag("index", "--pages", pages_dir, "--out", work / "original" / "index")
    searched = open_retriever(work / "original" / "index").pages  # without contents and the like
    mixed = [
        replace(page, text=recognised.get(page.page_id, page.text))
        for page in pages
        if page.page_id in searched
    ]
    write_pages(work / "pages", mixed, stage="ingest", pdf_dir=None)
    asked = work / questions.name
    select(questions, asked, doc_ids)
    results = []
    for name, folder in (("original", pages_dir), ("scanned", work / "pages")):
        drag("index", "--pages", folder, "--out", work / name / "index")
        results.append(work / name / "results" / f"{name}.json")
        options = ("--index", work / name / "index", "--episode", "max_turns=1", "--policy", "raw-question")
        drag("evaluate", "--questions", asked, "--output", results[-1], *options)
    drag("compare", *results, "--across-indexes", "--out", work / "comparison")


def scan(pages_dir: Path, pages: list[Page], folder: Path) -> None:
    """Write each page as a JPEG file, ``<doc_id>/<number>.jpg``."""
    pdf_dir, redactions = pdf_dir_of(pages_dir), read_redactions(pages_dir)
    assert pdf_dir is not None, f"{pages_dir} was not made from PDFs"
    for page in pages:
        target = folder / page.doc_id / f"{page.page_number:04d}.jpg"
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        rendered = target.with_suffix(".png.part")
        shared_renderer().render(
            Request(
                file=str(pdf_dir / page.source_file),
                sha256=page.source_sha256,
                page_number=page.page_number,
                dpi=DPI,
                max_pixels=MAX_PIXELS,
                boxes=redactions.get(page.page_id, ()),
                target=str(rendered),
            )
        )
        with Image.open(rendered) as image:
            turn = 90 * (page.page_number % 4) if TURNED else 0
            image.convert("L").rotate(turn, expand=True).save(target, quality=QUALITY)
        rendered.unlink()


def select(questions: Path, out: Path, doc_ids: list[str]) -> None:
    """Keep the questions whose gold pages are all in some documents."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(questions)
    golds = [row["ground_truth"]["page_ids"] for row in table.column("reward_model").to_pylist()]
    kept = [all(page_id.rpartition("#")[0] in doc_ids for page_id in gold) for gold in golds]
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.filter(pa.array(kept)), out)


def drag(*arguments: object) -> None:
    """Run a command of the project."""
    subprocess.run([sys.executable, "-m", "drag_rl.cli.main", *map(str, arguments)], check=True)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:4]), doc_ids=sys.argv[4:])
