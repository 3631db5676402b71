"""The benchmark of a reader runs on pages without any training, and its tables have what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from printed_manuals import ingest
from reader_lab import TEXT, write_fonts, write_pdf, write_reader

from drag_rl.corpus.images import PageImages
from drag_rl.questions import write_questions
from drag_rl.types import Question

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "reader.py"


@pytest.mark.slow
def test_pages_are_ranked_by_their_pixels_beside_their_text(tmp_path: Path) -> None:
    words = TEXT.split()
    write_pdf(tmp_path / "pdfs" / "a.pdf", [" ".join([*words[at:], *words[: at - 9]]) for at in (10, 20, 30)])
    pages = ingest(tmp_path / "pdfs", tmp_path / "pages")
    [first, *_] = PageImages(pages).page_ids()
    question = Question(question_id="q", text="memory aside rather", gold_page_ids=(first,))
    write_questions(tmp_path / "questions.parquet", [question], "test")
    reader = write_reader(tmp_path / "reader")
    places = [reader, pages, tmp_path / "questions.parquet"]
    options = ["--scanned", "--pdf-dir", tmp_path / "pdfs", "--font-dir", write_fonts(tmp_path / "fonts")]
    command = [sys.executable, str(SCRIPT), *map(str, [*places, *options])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    ranked = {row[0].strip(): row[1:] for row in rows if len(row) == 6}
    assert set(ranked) == {
        "pixels",
        "pixels, scanned",
        "pixels, other fonts",
        "bm25, text",
        "chance, of one page",
    }
    assert float(ranked["chance, of one page"][0]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3, abs=1e-3)
    assert all(0 < float(row[0].split()[0]) <= 1 for row in ranked.values())
    [heat] = [row for row in rows if len(row) == 2]
    assert 0 <= float(heat[0].split()[0]) <= 1 and 0 < float(heat[1]) < 0.2
