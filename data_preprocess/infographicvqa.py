"""InfographicVQA (Mathew et al. 2022, arXiv 2104.12756): ``drag data convert infographicvqa --source FOLDER``.

The challenge's JSON with its images, or config ``InfographicVQA`` of ``lmms-lab/DocVQA`` from the hub, which has no
document id: an image is a document of one page, known by ``image_local_name`` or ``image_url``. Unverified: the names
in the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_preprocess.datasets import Dataset, ImagePage
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import UniquePages, VisualRow, VisualRows, document

FACTS = {
    "licence": "by registration with the Robust Reading Competition; infographics of many sites",
    "citation": "InfographicVQA: Mathew et al. 2022, arXiv 2104.12756",
}


def read_infographicvqa(source: Path) -> Dataset:
    """The pages and questions. Raises ``InputError`` for a folder that holds none, or a damaged file."""
    rows, questions = VisualRows(source), VisualQuestions("infographicvqa")
    for row in rows.read(leave_out=["image"]):
        doc_id = _document(row)
        gold = [f"{doc_id}#1"] if doc_id else []
        questions.add(row, gold, question_id=row.cells.get("questionId"), answers=row.cells.get("answers"))
    return questions.of_images(_images(rows, UniquePages(questions.problems)), FACTS)


def _images(rows: VisualRows, pages: UniquePages) -> Iterator[ImagePage]:
    for row in rows.read():
        doc_id, cells = _document(row), row.cells
        if doc_id:
            image = cells.get("image", cells.get("image_local_name"))
            yield from pages.page(row.where, doc_id, 1, rows.image(image))


def _document(row: VisualRow) -> str:
    return document(row.cells.get("image_local_name") or row.cells.get("image_url"))
