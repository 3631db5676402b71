"""MMDocIR (Dong et al. 2025, arXiv 2501.08828): ``drag data convert mmdocir --source FOLDER``.

The folder holds ``MMDocIR_annotations.jsonl`` (a document a line, with its questions) and ``MMDocIR_pages.parquet``
(a page a row: ``doc_name``, ``image_binary``, ``ocr_text``, ``vlm_text``), whose rows are in the order of documents
and pages. Without that table the PDFs of the documents are read, those of MMLongBench-Doc for instance, in a folder or
archives. Gold pages count from 0. The licence is told in two ways: CC BY-NC where the annotations are, Apache 2.0 on
the hub.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, overload

from data_preprocess.datasets import Dataset, ImagePage, Questions
from data_preprocess.parquet_rows import columns_of, image_of, parquet_rows, text_of, texts_of
from data_preprocess.pdf_files import PdfFiles, find_pdfs
from data_preprocess.text_lines import json_lines
from data_preprocess.written_pages import WrittenPages
from drag_rl.corpus.clean_text import clean_text
from drag_rl.errors import InputError
from drag_rl.files.manifest import Problem
from drag_rl.types import Question

ANNOTATIONS, PAGES = "MMDocIR_annotations.jsonl", "MMDocIR_pages.parquet"
FACTS = {
    "licence": "CC BY-NC 4.0 (annotations); Apache 2.0 as the hub has it; documents vary",
    "citation": "MMDocIR: Dong et al. 2025, arXiv 2501.08828",
}


def read_mmdocir(source: Path) -> Dataset:
    """The pages and questions, all of them for test. Raises ``InputError`` for a folder without these files."""
    annotations, pages = _find(source, ANNOTATIONS), _find(source, PAGES, needed=False)
    problems: list[Problem] = []
    dropped: Counter[str] = Counter()
    if pages is None:
        pdfs = find_pdfs(source)

        def ask(written: WrittenPages) -> Questions:
            there = Counter(page_id.rpartition("#")[0] for page_id in written.ids())
            return {"test": _questions(annotations, there, dropped, problems, pdfs)}

        return Dataset(pdfs=pdfs, ask=ask, dropped=dropped, problems=problems, numbered=True, facts=FACTS)
    counts = Counter(_document(row["doc_name"]) for _, row in parquet_rows(pages, ["doc_name"]))
    return Dataset(
        images=_images(pages, problems),
        questions={"test": _questions(annotations, counts, dropped, problems)},
        dropped=dropped,
        problems=problems,
        numbered=True,
        facts=FACTS,
    )


def _questions(
    annotations: Path,
    counts: Mapping[str, int],
    dropped: Counter[str],
    problems: list[Problem],
    pdfs: PdfFiles | None = None,
) -> list[Question]:
    """The questions of all documents, which have so many pages; those of PDFs may be there in part."""
    questions: list[Question] = []

    def bad(where: str, why: str) -> None:
        dropped["documents_that_are_wrong"] += 1
        problems.append(Problem(where=_below(where, annotations), reason=why))

    for place_of, row in json_lines(annotations, bad):
        where = _below(place_of, annotations)
        doc_id, asked = _document(row.get("doc_name")), row.get("questions")
        if not doc_id or not isinstance(asked, list):
            bad(place_of, "has no doc_name with questions")
            continue
        if pdfs and not counts.get(doc_id):
            dropped[f"questions_{'of_other_documents' if doc_id in pdfs else 'without_document'}"] += len(
                asked
            )
            continue
        count = counts.get(doc_id, 0)
        _check_pages(where, row, count, problems)
        for place, entry in enumerate(asked, start=1):
            questions += _question(f"{where} question {place}", entry, doc_id, count, dropped, problems)
    return questions


def _below(where: str, path: Path) -> str:
    """Where a row stands, by the name of its file."""
    return f"{path.name}{where.removeprefix(str(path))}"


@overload
def _find(source: Path, name: str) -> Path: ...
@overload
def _find(source: Path, name: str, *, needed: bool) -> Path | None: ...
def _find(source: Path, name: str, *, needed: bool = True) -> Path | None:
    found = [path for path in (source / name, source / "dataset" / name) if path.is_file()]
    if needed and not found:
        raise InputError(f"--source {source}: holds no {name}")
    return found[0] if found else None


def _document(name: object) -> str:
    return " ".join(clean_text(text_of(name)).split()).removesuffix(".pdf")


def _check_pages(where: str, row: Any, count: int, problems: list[Problem]) -> None:
    """``page_indices`` are the first and last row of a document's pages, both of them its own."""
    indices = row.get("page_indices")
    if (
        isinstance(indices, list)
        and len(indices) == 2
        and all(isinstance(one, int) for one in indices)
        and indices[1] - indices[0] + 1 != count
    ):
        reason = f"says that the document has {indices[1] - indices[0] + 1} pages, but it has {count}"
        problems.append(Problem(where=where, reason=reason))


def _question(
    where: str, entry: Any, doc_id: str, count: int, dropped: Counter[str], problems: list[Problem]
) -> list[Question]:
    """The question of an entry, or none, counted and listed."""
    entry = entry if isinstance(entry, dict) else {}
    text, given = clean_text(text_of(entry.get("Q"))), entry.get("page_id")
    numbers = [page for page in given if isinstance(page, int)] if isinstance(given, list) else []
    gold = [f"{doc_id}#{page + 1}" for page in dict.fromkeys(numbers) if 0 <= page < count]
    if not text or not gold:
        why = "questions_without_text" if not text else "questions_without_gold_page"
        dropped[why] += 1
        problems.append(Problem(where=where, reason=f"{why.replace('_', ' ')} (page_id {given!r:.60})"))
        return []
    if len(gold) < len(set(numbers)):
        dropped["gold_pages_that_are_missing"] += len(set(numbers)) - len(gold)
        problems.append(
            Problem(where=where, reason=f"names pages beyond the {count} that there are: {numbers}")
        )
    digest = hashlib.sha256(f"{doc_id}\n{where}".encode()).hexdigest()[:12]
    return [
        Question(
            question_id=f"mmdocir-{digest}",
            text=text,
            gold_page_ids=tuple(gold),
            answers=tuple(texts_of(entry.get("A"))),
            data_source="mmdocir",
            document=doc_id,
        )
    ]


def _images(path: Path, problems: list[Problem]) -> Iterator[ImagePage]:
    place: Counter[str] = Counter()
    texts = [name for name in ("ocr_text", "vlm_text") if name in columns_of(path)]
    for number, row in parquet_rows(path, ["doc_name", "image_binary", *texts]):
        doc_id, image = _document(row["doc_name"]), image_of(row["image_binary"])
        place[doc_id] += 1
        problem = image if isinstance(image, str) else ""
        if problem:
            problems.append(Problem(where=f"{PAGES} row {number}", reason=problem))
        yield ImagePage(
            doc_id=doc_id,
            page_number=place[doc_id],
            image=b"" if isinstance(image, str) else image,
            text=next((text for name in texts if (text := text_of(row[name]))), ""),
            problem=problem,
        )
