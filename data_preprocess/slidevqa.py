"""SlideVQA (Tanaka et al. 2023, arXiv 2301.04883): ``drag data convert slidevqa --source FOLDER``.

The hub's parquet (``NTT-hil-insight/SlideVQA``): a question a row with ``deck_name``, its slides in ``page_1`` to
``page_20``, and ``evidence_pages``, which count from 1. The slides of a deck stand in every row of it and are taken
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_preprocess.datasets import Dataset, ImagePage
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import UniquePages, VisualRows, document, listed, whole

PAGES = tuple(f"page_{number}" for number in range(1, 21))
FACTS = {
    "licence": "NTT's licence for evaluation; the slides are their authors'",
    "citation": "SlideVQA: Tanaka et al. 2023, arXiv 2301.04883",
}


def read_slidevqa(source: Path) -> Dataset:
    """The slides and questions. Raises ``InputError`` for a folder that holds none, or a damaged file."""
    rows, questions = VisualRows(source), VisualQuestions("slidevqa")
    for row in rows.read(leave_out=PAGES):
        deck = document(row.cells.get("deck_name"))
        numbers = [number for page in listed(row.cells.get("evidence_pages")) if (number := whole(page))]
        gold = [f"{deck}#{number}" for number in numbers if deck and 1 <= number <= len(PAGES)]
        questions.add(row, gold, question_id=row.cells.get("qa_id"), answers=row.cells.get("answer"))
    return questions.of_images(_images(rows, UniquePages(questions.problems)), FACTS, numbered=True)


def _images(rows: VisualRows, pages: UniquePages) -> Iterator[ImagePage]:
    seen: set[str] = set()
    for row in rows.read():
        deck = document(row.cells.get("deck_name"))
        if deck and deck not in seen:
            seen.add(deck)
            for number, column in enumerate(PAGES, start=1):
                if row.cells.get(column) is not None:  # a shorter deck leaves the last ones empty
                    yield from pages.page(row.where, deck, number, rows.image(row.cells[column]))
