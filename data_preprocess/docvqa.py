"""DocVQA (Mathew et al. 2021, arXiv 2007.00398): ``drag data convert docvqa --source FOLDER``.

The challenge's JSON with its images, or ``lmms-lab/DocVQA`` from the hub. Pages of one document of the UCSF archive
are put together by ``ucsf_document_id`` and ``ucsf_document_page_no``; other pages of it are not in the data set.
Unverified: that the page numbers are those of the archive's files, and count from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_preprocess.datasets import Dataset, ImagePage
from data_preprocess.parquet_rows import text_of
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import UniquePages, VisualRow, VisualRows, document, whole

FACTS = {
    "licence": "by registration with the Robust Reading Competition; documents of the UCSF archive",
    "citation": "DocVQA: Mathew, Karatzas and Jawahar 2021, arXiv 2007.00398",
}


def read_docvqa(source: Path) -> Dataset:
    """The pages and questions. Raises ``InputError`` for a folder that holds none, or a damaged file."""
    rows, questions = VisualRows(source), VisualQuestions("docvqa")
    for row in rows.read(leave_out=["image"]):
        doc_id, number = _place(row)
        gold = [f"{doc_id}#{number}"] if doc_id else []
        questions.add(row, gold, question_id=row.cells.get("questionId"), answers=row.cells.get("answers"))
    return questions.of_images(_images(rows, UniquePages(questions.problems)), FACTS)


def _images(rows: VisualRows, pages: UniquePages) -> Iterator[ImagePage]:
    for row in rows.read():
        doc_id, number = _place(row)
        if doc_id:
            yield from pages.page(row.where, doc_id, number, rows.image(row.cells.get("image")))


def _place(row: VisualRow) -> tuple[str, int]:
    """Document and page number; without the archive's a page is a document of its own, by ``docId``."""
    doc_id, number = (
        document(row.cells.get("ucsf_document_id")),
        whole(row.cells.get("ucsf_document_page_no")),
    )
    if doc_id and number is not None and number >= 1:
        return doc_id, number
    own = text_of(row.cells.get("docId"))
    return (f"docvqa-{own}" if own else ""), 1
