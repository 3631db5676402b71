"""MMLongBench-Doc (Ma et al. 2024, arXiv 2407.01523): ``drag data convert mmlongbench-doc --source FOLDER``.

The folder holds ``data/samples.json`` and ``data/documents/*.pdf``, as the authors' repository does, or the hub's
parquet with the same columns. All values are texts, lists too (``"[3, 5]"``). ``evidence_pages`` are positions in the
PDF, which count from 1; some are printed numbers, or wrong. About a fifth of the questions cannot be answered, some of
them with pages, and a few that can be answered name none: neither can be searched for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_preprocess.datasets import Dataset
from data_preprocess.json_rows import is_rows, json_rows
from data_preprocess.numbered_questions import NumberedQuestions, one_answer
from data_preprocess.parquet_rows import columns_of, parquet_rows, text_of
from data_preprocess.pdf_files import document_name, find_pdfs
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import VisualRow, document, listed, whole
from data_preprocess.written_pages import WrittenPages
from drag_rl.errors import InputError

COLUMNS = ("doc_id", "question", "answer", "evidence_pages")
FACTS = {
    "licence": "CC BY-NC 4.0, for research",
    "citation": "MMLongBench-Doc: Ma et al. 2024, arXiv 2407.01523",
}


def read_mmlongbench_doc(source: Path) -> Dataset:
    """The documents and questions, all of them for test. Raises ``InputError`` for a folder that holds none."""
    rows = list(_rows(source))
    pdfs, questions = find_pdfs(source), VisualQuestions("mmlongbench-doc")

    def ask(pages: WrittenPages) -> None:
        asked = NumberedQuestions(questions, pdfs, pages.ids())
        for number, row in enumerate(rows, start=1):
            asked.add(
                row,
                document(document_name(text_of(row.cells["doc_id"]))),
                [page for cell in listed(row.cells["evidence_pages"]) if (page := whole(cell)) is not None],
                question_id=number,
                answers=one_answer(row.cells["answer"]),
            )

    return questions.of_pdfs(pdfs, ask, FACTS)


def _rows(source: Path) -> Iterator[VisualRow]:
    found: list[tuple[Path, Iterator[tuple[int, dict[str, Any]]]]] = []
    for path in sorted(source.rglob("*.json")) if source.is_dir() else []:
        if is_rows(path, "data", *COLUMNS):
            found.append((path, enumerate(json_rows(path, "data"), start=1)))
    if not found:
        for path in sorted(source.rglob("*.parquet")) if source.is_dir() else []:
            if set(COLUMNS) <= set(columns_of(path)):
                found.append((path, parquet_rows(path)))
    if not found:
        raise InputError(f"--source {source}: holds no samples.json, nor the hub's parquet")
    for path, rows in found:
        where = path.relative_to(source).as_posix()
        for number, cells in rows:
            yield VisualRow(f"{where} row {number}", "test", dict.fromkeys(COLUMNS) | cells)
