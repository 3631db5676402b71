"""Your own questions: ``python -m data_preprocess.user_questions``.

Reads JSONL (one object a line) or CSV (with a header). Columns: ``question``, ``file`` and ``pages`` (or
``page``); optional ``answers`` (or ``answer``), ``id``, ``images`` and ``data_source``. ``file`` is a
document id, a path below the PDF folder, or a file name that only one document has. ``pages`` counts from 1:
``4``, ``[4, 7]``, ``"3-5, 9"``. In CSV several answers or images are separated by ``|``. Image paths are
relative to the input file.
"""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from rich.console import Console

from data_preprocess.question_set import report, write_question_set
from data_preprocess.splits import document_of, split_documents, split_questions
from drag_rl.console import run_app
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.pool import pool_fingerprint, read_left_out
from drag_rl.corpus.sources import doc_id_of
from drag_rl.errors import InputError
from drag_rl.manifest import Manifest, read_manifest, sha256_file
from drag_rl.types import Page, Question

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

COLUMNS = ("question", "file", "page", "pages", "answer", "answers", "id", "images", "data_source")
MAX_RANGE_PAGES = 1000

Row = Mapping[str, Any]


class Documents:
    """The documents of a PAGES_DIR, found by what a user may call them."""

    def __init__(self, pages: Sequence[Page], left_out: Mapping[str, str]) -> None:
        self._pages = {(page.doc_id, page.page_number): page for page in pages}
        self._left_out = left_out
        self._counts = Counter(page.doc_id for page in pages)
        self._names: dict[str, set[str]] = {}
        for doc_id, source in {(page.doc_id, page.source_file) for page in pages}:
            for name in {doc_id, source, PurePosixPath(doc_id).name, PurePosixPath(source).name}:
                self._names.setdefault(name, set()).add(doc_id)

    def find(self, file: str) -> str:
        """The document id for a file; raises ``InputError`` unless just one document is called that."""
        name = PurePosixPath(file.replace("\\", "/")).as_posix()
        found = {name} if name in self._counts else self._names.get(name, set())
        found = found or self._names.get(doc_id_of(name), set())
        if len(found) > 1:
            raise InputError(f"file {file!r} may be {' or '.join(sorted(found))}; give its path")
        if not found:
            raise InputError(f"file {file!r} is no document of the pages; there are {self._some()}")
        return next(iter(found))

    def page_id(self, doc_id: str, number: int) -> str:
        """The id of a page; raises ``InputError`` if it is not there, unreadable, or left out of the pool."""
        page = self._pages.get((doc_id, number))
        if page is None:
            raise InputError(f"{doc_id} has no page {number}; it has {self._counts[doc_id]}, counted from 1")
        if page.status == "failed":
            raise InputError(f"page {number} of {doc_id} could not be read ({page.reason})")
        if page.page_id in self._left_out:
            raise InputError(
                f"page {number} of {doc_id} is left out of the pool ({self._left_out[page.page_id]})"
            )
        return page.page_id

    def _some(self) -> str:
        names = sorted(self._counts)
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def read_user_questions(path: Path, documents: Documents) -> list[Question]:
    """The questions of a JSONL or CSV file, in order.

    Raises ``InputError`` naming the file and the line that is wrong.
    """
    questions: list[Question] = []
    lines: dict[str, int] = {}
    for number, row in _rows(path):
        try:
            question = _question(row, f"user-{number:05d}", documents, path.parent)
        except InputError as error:
            raise InputError(f"{path} line {number}: {error}") from error
        if question.question_id in lines:
            earlier = lines[question.question_id]
            raise InputError(
                f"{path} line {number}: id {question.question_id!r} stands on line {earlier} too"
            )
        lines[question.question_id] = number
        questions.append(question)
    if not questions:
        raise InputError(f"{path}: holds no question")
    return questions


def parse_pages(value: object) -> list[int]:
    """1-based page numbers from a number, a list, or text such as ``"3-5, 9"``; rising, without repeats.

    >>> parse_pages("3-5, 9"), parse_pages(4), parse_pages([7, "1-2"])
    ([3, 4, 5, 9], [4], [1, 2, 7])
    """
    numbers: set[int] = set()
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, int) and not isinstance(item, bool):
            numbers.add(item)
            continue
        for part in str(item).split(","):
            match = re.fullmatch(r"\s*(\d+)\s*(?:[-\u2013]\s*(\d+)\s*)?", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last < first + MAX_RANGE_PAGES:
                raise InputError(f"pages {item!r} is no page number, list or range such as 3-5")
            numbers.update(range(first, last + 1))
    if not numbers or min(numbers) < 1:
        raise InputError(f"pages {value!r}: pages count from 1")
    return sorted(numbers)


def _question(row: Row, default_id: str, documents: Documents, folder: Path) -> Question:
    unknown = [name for name in row if name not in COLUMNS]
    if unknown:
        raise InputError(f"column {unknown[0]!r} is not known; there are {', '.join(COLUMNS)}")
    doc_id = documents.find(_needed(row, "file"))
    numbers = parse_pages(_either(row, "pages", "page"))
    images = [folder / image for image in _list_of(row.get("images"))]
    for image in images:
        if not image.is_file():
            raise InputError(f"image {image} is not there")
    return Question(
        question_id=str(row.get("id") or default_id),
        text=_needed(row, "question"),
        gold_page_ids=tuple(documents.page_id(doc_id, number) for number in numbers),
        answers=tuple(_list_of(row.get("answers") or row.get("answer"))),
        data_source=str(row.get("data_source") or "user"),
        images=tuple(str(image.resolve()) for image in images),
    )


def _needed(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} is missing or empty")
    return value.strip()


def _either(row: Row, one: str, other: str) -> object:
    value = next((row[name] for name in (one, other) if row.get(name) not in (None, "", [])), None)
    if value is None:
        raise InputError(f"{one} is missing or empty")
    return value


def _list_of(value: object) -> list[str]:
    if value is None or value == "":
        return []
    items = value if isinstance(value, list) else str(value).split("|")
    return [str(item).strip() for item in items if str(item).strip()]


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Each row with its 1-based line number."""
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Row]]]] = {
        ".jsonl": _json_rows,
        ".csv": _csv_rows,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: is neither .jsonl nor .csv")
    try:
        yield from reader(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 {path.suffix[1:]} ({error})") from error


def _json_rows(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path} line {number}: is no JSON object ({error})") from error
            if not isinstance(row, dict):
                raise InputError(f"{path} line {number}: is no JSON object")
            yield number, row


def _csv_rows(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        for row in reader:
            if None in row or None in row.values():
                raise InputError(f"{path} line {reader.line_num}: has more or fewer fields than the header")
            if any(row.values()):
                yield reader.line_num, row


def import_questions(
    input_file: Path, pages_dir: Path, out_dir: Path, *, val: float, test: float, seed: int
) -> Manifest:
    """Check a user's questions against the pages, split them by document and write the question set.

    ``val`` and ``test`` are shares of all questions, in [0, 1). Raises ``InputError``.
    """
    started = time.monotonic()
    if val < 0 or test < 0 or val + test >= 1:
        raise InputError(f"--val {val} and --test {test} must be at least 0 and below 1 together")
    documents = Documents(load_pages(pages_dir), read_left_out(pages_dir))
    questions = read_user_questions(input_file, documents)
    counts = Counter(document_of(question) for question in questions)
    documents_split = split_documents(dict(sorted(counts.items())), {"val": val, "test": test}, seed, {})
    splits, dropped = split_questions(questions, documents_split, seed)
    return write_question_set(
        out_dir,
        splits,
        stage="user_questions",
        inputs={
            "questions": sha256_file(input_file),
            "pages": read_manifest(pages_dir).fingerprint,
            "pool": pool_fingerprint(pages_dir),
        },
        config={"val": val, "test": test, "seed": seed, "documents": documents_split},
        dropped=dropped,
        seconds=time.monotonic() - started,
    )


@app.command()
def user_questions(
    input_file: Annotated[Path, typer.Option("--input", help="A .jsonl or .csv file of questions.")],
    pages: Annotated[Path, typer.Option(help="Pages made by `drag ingest`; every gold page must be there.")],
    out: Annotated[Path, typer.Option(help="Folder for questions.{train,val,test}.parquet.")],
    val: Annotated[float, typer.Option(help="Share of questions for val; whole documents.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of questions for test; whole documents.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Draws the split and the order.")] = 0,
) -> None:
    """Turn your own questions into training files, split by document."""
    report(Console(), out, import_questions(input_file, pages, out, val=val, test=test, seed=seed))


if __name__ == "__main__":
    run_app(app, "data_preprocess.user_questions")
