"""MADQA, the data set of the DRAG tutorial: ``drag data convert madqa --source FOLDER``.

The folder holds ``ocr_output.jsonl``, a page a line (``{"file", "page_number", "total_pages", "text"}``), or else the
PDFs; the hub's parquet (``OxRML/MADQA``, once ``agentic-document-ai/agentic-document-ai``), or JSON of such rows; and
the tutorial's split files, such as ``splits/ctt_subset_test.json``, which name questions by their ids
(``drag_rl.question_ids`` has their forms). They decide over the hub's own splits, for those of the tutorial are all of
the hub's ``train``.

A row has ``id``, ``question``, ``answers`` and ``answer_locations``; in the later version ``answer_variants``, each
the parts of an answer, and ``evidence``. A place is ``{"document", "page"}``, ``{"file", "page"}`` or
``"report.pdf:12"``. The tutorial takes the first as gold, we take all; its code compares their page numbers with
those of the OCR file, as is done here. Unverified, as no row has been seen: the names of the later version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data_preprocess.datasets import Dataset
from data_preprocess.json_rows import is_rows, json_rows
from data_preprocess.numbered_questions import NumberedQuestions, one_answer
from data_preprocess.parquet_rows import columns_of, parquet_rows, text_of
from data_preprocess.pdf_files import PdfFiles, document_name, find_pdfs
from data_preprocess.text_lines import json_lines
from data_preprocess.visual_questions import VisualQuestions
from data_preprocess.visual_rows import VisualRow, listed, split_of, whole
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.ocr_file import document_of_file, read_ocr_file
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem, sha256_file
from drag_rl.question_ids import INCLUDE, read_question_ids
from drag_rl.splits import SPLITS, Split

OCR_FILE = "ocr_output.jsonl"
PLACES, ANSWERS = ("answer_locations", "evidence"), ("answers", "answer_variants")
FACTS = {
    "licence": "CC BY-NC 4.0, for research; the documents are their publishers'",
    "citation": "MADQA, https://huggingface.co/datasets/OxRML/MADQA",
}


def read_madqa(source: Path) -> Dataset:
    """The pages and questions. Raises ``InputError`` for a folder that holds none, or a damaged file."""
    questions = VisualQuestions("madqa", of_one_document=False, own_ids=True)
    rows = list(_rows(source, questions))
    splits = _split_files(source)
    if ocr_files := sorted(source.rglob(OCR_FILE)):
        pages, problems = read_ocr_file(ocr_files[0], sha256_file(ocr_files[0]))
        questions.problems += problems
        documents = {page.doc_id for page in pages}
        asked = NumberedQuestions(questions, documents, (page.page_id for page in pages))
        _ask(rows, splits, asked, questions, None)
        return questions.of_pages(pages, FACTS)
    pdfs = find_pdfs(source)

    def ask(written: WrittenPages) -> None:
        _ask(rows, splits, NumberedQuestions(questions, pdfs, written.ids()), questions, pdfs)

    return questions.of_pdfs(pdfs, ask, FACTS)


def _ask(
    rows: list[VisualRow],
    splits: Mapping[str, Split],
    asked: NumberedQuestions,
    questions: VisualQuestions,
    pdfs: PdfFiles | None,
) -> None:
    for row in rows:
        known_as = text_of(row.cells.get("id"))
        row = VisualRow(row.where, splits.get(known_as, row.split), row.cells)
        places = [
            (document_name(doc_id) if pdfs else doc_id, number)
            for doc_id, number in _places(_first(row, PLACES))
        ]
        gold = asked.there(row, places)
        questions.add(row, gold, question_id=known_as, answers=variants(_first(row, ANSWERS)))


def variants(cell: object) -> list[str]:
    """The acceptable answers: each is a text, or a list of the parts of one.

    >>> variants([["170 knots"], ["315", "km/h"]]), variants("170 knots")
    (['170 knots', '315, km/h'], ['170 knots'])
    """
    return [text for one in listed(cell) for text in one_answer(one)]


def _places(cell: object) -> Iterator[tuple[str, int]]:
    """Document and page number of each place that can be read."""
    for place in [cell] if isinstance(cell, dict | str) else listed(cell):
        if isinstance(place, dict):
            name, number = place.get("document") or place.get("file"), place.get("page")
        else:
            name, _, number = text_of(place).rpartition(":")
        if (page := whole(number)) is not None and (doc_id := document_of_file(text_of(name))):
            yield doc_id, page


def _first(row: VisualRow, names: tuple[str, ...]) -> Any:
    return next((row.cells[name] for name in names if row.cells.get(name) is not None), None)


def _split_files(source: Path) -> dict[str, Split]:
    """Question id -> the split of the file that names it; of two files that of the later split counts."""
    named: dict[Split, set[str]] = {split: set() for split in SPLITS}
    for path in sorted(source.rglob("*.json")):
        split = split_of(path)
        if split and not _holds_questions(path):
            try:
                named[split] |= read_question_ids(path, INCLUDE)
            except InputError:
                continue  # some other JSON
    return {known_as: split for split in SPLITS for known_as in named[split]}


def _rows(source: Path, questions: VisualQuestions) -> Iterator[VisualRow]:
    """The rows of all files that have questions with places, which the tutorial's own files of trajectories lack.

    Lines that cannot be read are listed with ``questions``.
    """

    def bad(where: str, why: str) -> None:
        questions.problems.append(Problem(where=where.removeprefix(f"{source}/"), reason=why))

    found = False
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        where, split = path.relative_to(source).as_posix(), split_of(path) or "test"
        rows: Iterator[tuple[int, Mapping[str, Any]]] = iter(())
        if path.suffix == ".parquet" and _is_asked(dict.fromkeys(columns_of(path))):
            rows = parquet_rows(path)
        elif path.suffix == ".json" and _holds_questions(path):
            rows = enumerate(json_rows(path, "data"), start=1)
        elif path.suffix == ".jsonl" and path.name != OCR_FILE:
            rows = (
                (int(line.rpartition(" ")[2]), row) for line, row in json_lines(path, bad) if _is_asked(row)
            )
        for number, cells in rows:
            found = True
            yield VisualRow(f"{where} row {number}", split, dict(cells))
    if not found:
        raise InputError(
            f"--source {source}: holds no questions, neither the hub's parquet nor JSON of its rows"
        )


def _is_asked(cells: Mapping[str, Any]) -> bool:
    return "question" in cells and any(name in cells for name in PLACES)


def _holds_questions(path: Path) -> bool:
    return any(is_rows(path, "data", "id", "question", name) for name in PLACES)
