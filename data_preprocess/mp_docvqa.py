"""MP-DocVQA (Tito et al. 2023, arXiv 2212.05935): ``drag data convert mp-docvqa --source FOLDER``.

The challenge's ``{train,val,test}.json`` with ``images/<page_id>.jpg``, or ``lmms-lab/MP-DocVQA`` from the hub, where
lists are written as text and the pages of a row are in ``image_1`` to ``image_20``. A document has at most 20 pages
in a row, other rows others of it; a page is known by its id, such as ``pybv0228_p80``, which counts from 0, and the
gold page by its place among ``page_ids``, from 0. The test split tells no gold page. Unverified: the names of the
challenge's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.datasets import Dataset, ImagePage
from data_preprocess.parquet_rows import text_of
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import UniquePages, VisualRow, VisualRows, document, listed, whole

IMAGES = tuple(f"image_{number}" for number in range(1, 21))
FACTS = {
    "licence": "by registration with the Robust Reading Competition; documents of the UCSF archive",
    "citation": "MP-DocVQA: Tito, Karatzas and Valveny 2023, arXiv 2212.05935",
}
_PAGE = re.compile(r"(?P<document>.+)_p(?P<number>[0-9]{1,6})")


def read_mp_docvqa(source: Path) -> Dataset:
    """The pages and questions. Raises ``InputError`` for a folder that holds none, or a damaged file."""
    rows, questions = VisualRows(source), VisualQuestions("mp-docvqa")
    for row in rows.read(leave_out=IMAGES):
        pages, answer = _pages(row), whole(row.cells.get("answer_page_idx"))
        gold = [pages[answer]] if answer is not None and 0 <= answer < len(pages) else []
        questions.add(
            row,
            [f"{doc_id}#{number}" for doc_id, number in gold],
            question_id=row.cells.get("questionId"),
            answers=row.cells.get("answers"),
        )
    return questions.of_images(_images(rows, UniquePages(questions.problems)), FACTS, numbered=True)


def _images(rows: VisualRows, pages: UniquePages) -> Iterator[ImagePage]:
    for row in rows.read():
        names = [text_of(page_id) for page_id in listed(row.cells.get("page_ids"))]
        for (doc_id, number), column, name in zip(_pages(row), IMAGES, names, strict=False):
            yield from pages.page(row.where, doc_id, number, rows.image(row.cells.get(column, name)))


def _pages(row: VisualRow) -> list[tuple[str, int]]:
    """Document and page number, from 1, of each page of a row."""
    found = []
    for place, page_id in enumerate(map(document, listed(row.cells.get("page_ids"))), start=1):
        match = _PAGE.fullmatch(page_id)
        found.append(
            (match["document"], int(match["number"]) + 1)
            if match
            else (document(row.cells.get("doc_id")), place)
        )
    return found
