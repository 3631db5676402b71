"""Turn your own questions into training files: ``drag data questions``.

Reads JSONL (one object a line), CSV, a sheet of an Excel workbook, or parquet. Columns: ``question``, ``file`` (or
``document``) and ``pages`` (or ``page``); optional ``answers`` (or ``answer``), ``grades`` (or ``grade``), ``id``,
``images`` and ``data_source``. They may be called otherwise in your file: ``--column question=Frage``. ``file`` is a
document id, a path below the PDF folder, or a file name that only one document has. ``document``, in its place or
beside it, says more: the question is asked of that document, as "according to the report" is, and search may stay in it
(``drag.episode.scope``). ``pages`` counts from 1: ``4``, ``[4, 7]``, ``"3-5, 9"``. ``grades`` say how well the pages
answer, one for all or one for each in the order of ``pages``: ``2``, ``[3, 1]``, ``"3, 1"``; without them all are 1. In
CSV and workbooks several answers or images are separated by ``|``. Image paths are relative to the input file.

A row that is wrong is a line with file and row; all of them are told at once, and nothing is written: what you measure
on is all of your file, or nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from data_preprocess.bad_rows import NOT_LISTED, BadRowsError, DroppedRows
from data_preprocess.graded_pages import graded_pages
from data_preprocess.named_documents import Documents
from data_preprocess.question_columns import place_in, read_columns, renamed, table_rows
from data_preprocess.question_images import check_image
from data_preprocess.question_rows import Row, shown
from data_preprocess.question_set import FILES, STAGES, report, write_question_set
from drag_rl.console import run_app
from drag_rl.corpus.copies import copies
from drag_rl.corpus.pages import load_pages
from drag_rl.corpus.pool import pool_fingerprint, read_left_out
from drag_rl.errors import InputError
from drag_rl.files.folders import claim_files
from drag_rl.files.manifest import Manifest, read_manifest, sha256_file
from drag_rl.files.outputs import refuse_overlap
from drag_rl.splits import ROUNDING, Split, document_of, split_documents, split_questions
from drag_rl.types import Question

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

COLUMNS = (
    "question",
    "file",
    "document",
    "page",
    "pages",
    "answer",
    "answers",
    "grade",
    "grades",
    "id",
    "images",
    "data_source",
)


def read_user_questions(
    path: Path, documents: Documents, columns: Mapping[str, str] | None = None, sheet: str | None = None
) -> list[Question]:
    """The questions of a file, in order; ``columns`` are our names and the file's, ``sheet`` that of a workbook.

    Raises ``BadRowsError`` with each line or row that is wrong, and ``InputError`` for a file that cannot be read.
    """
    wrong = DroppedRows()
    questions: list[Question] = []
    places: dict[str, str] = {}
    check = cache(check_image)  # a picture may belong to many questions
    for number, given in table_rows(path, sheet, wrong.note):
        where = place_in(path, number)
        try:
            row = renamed(given, columns or {}, COLUMNS)
            question = _question(row, f"user-{number:05d}", documents, path.parent, check)
        except InputError as error:
            wrong.note(where, str(error))
        except RecursionError:  # only to show a wrong value takes that
            wrong.note(where, "is nested too deeply")
        else:
            if question.question_id in places:
                earlier = places[question.question_id].removeprefix(f"{path} ")
                wrong.note(where, f"id {shown(question.question_id)} is duplicated: {earlier} has it too")
            places.setdefault(question.question_id, where)
            questions.append(question)
    if wrong.problems:
        raise BadRowsError(path, wrong.problems, wrong.counts[NOT_LISTED])
    if not questions:
        raise InputError(f"{path}: has no question")
    return questions


def _question(
    row: Row, default_id: str, documents: Documents, folder: Path, check: Callable[[Path], None]
) -> Question:
    asked_of = documents.find(_text(row, "document")) if _is_given(row, "document") else ""
    doc_id = documents.find(_text(row, "file")) if not asked_of or _is_given(row, "file") else asked_of
    if asked_of not in ("", doc_id):
        raise InputError(
            f"document {asked_of} is not file {doc_id}, which answers; a question is asked of one document"
        )
    grades = graded_pages(
        _either(row, "pages", "page"),
        _either(row, "grades", "grade") if _is_given(row, "grades") or _is_given(row, "grade") else 1,
    )
    images = [folder / image for image in _texts(row, "images")]
    for image in images:
        check(image)
    return Question(
        question_id=_text(row, "id", default_id),
        text=_text(row, "question"),
        gold_page_ids=tuple(documents.page_id(doc_id, number) for number in grades),
        gold_grades=tuple(grades.values()),
        answers=tuple(_texts(row, "answers", "answer")),
        data_source=_text(row, "data_source", "user"),
        images=tuple(str(image.resolve()) for image in images),
        document=asked_of,
    )


def _is_given(row: Row, name: str) -> bool:
    value = row.get(name)
    return not (value is None or value == [] or (isinstance(value, str) and not value.strip()))


def _either(row: Row, *names: str) -> object:
    """The value of the one column that is given; raises ``InputError`` if none or several are."""
    given = [name for name in names if _is_given(row, name)]
    if len(given) > 1:
        raise InputError(f"{given[0]} and {given[1]} are both given; keep one")
    if not given:
        raise InputError(f"{names[0]} is missing or empty")
    return row[given[0]]


def _text(row: Row, name: str, default: str | None = None) -> str:
    """A text, or a number as it is written; raises ``InputError`` if there is none and no default."""
    if default is not None and not _is_given(row, name):
        return default
    return _as_text(_either(row, name), name)


def _texts(row: Row, *names: str) -> list[str]:
    """The texts of a list, or of a text with ``|`` between them, in whichever column is given."""
    if not any(_is_given(row, name) for name in names):
        return []
    value = _either(row, *names)
    items = value if isinstance(value, list) else _as_text(value, names[0]).split("|")
    texts = [_as_text(item, names[0]) for item in items]
    return [text for text in texts if text]


def _as_text(value: object, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{name}: {shown(value)} is not text")
    return str(value).strip()


def import_questions(
    input_file: Path,
    pages_dir: Path,
    out_dir: Path,
    *,
    val: float,
    test: float,
    seed: int,
    columns: Mapping[str, str] | None = None,
    sheet: str | None = None,
) -> Manifest:
    """Check a user's questions against the pages, split them by document and write the question set.

    ``val`` and ``test`` are shares of all questions, in [0, 1] together; what is left is for training. Documents that
    are the same under several names go to one split. ``columns`` and ``sheet`` are those of
    :func:`read_user_questions`. Raises ``InputError``.
    """
    started = time.monotonic()
    if not (val >= 0 and test >= 0 and val + test <= 1 + ROUNDING):
        raise InputError(f"--val {val} and --test {test} must be at least 0, and at most 1 together")
    refuse_overlap({"--out": out_dir}, {"--input": input_file, "--pages": pages_dir})
    claim_files(out_dir, STAGES, FILES)
    page_rows = load_pages(pages_dir)
    documents = Documents(page_rows, read_left_out(pages_dir))
    questions = read_user_questions(input_file, documents, columns, sheet)
    counts = Counter(document_of(question) for question in questions)
    shares: dict[Split, float] = {"val": val, "test": test}
    documents_split = split_documents(dict(sorted(counts.items())), shares, seed, {}, copies(page_rows))
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
        config={
            "val": val,
            "test": test,
            "seed": seed,
            "columns": dict(columns or {}),
            "sheet": sheet,
            "documents": documents_split,
        },
        dropped=dropped,
        seconds=time.monotonic() - started,
    )


@app.command("questions")
def user_questions(
    input_file: Annotated[Path, typer.Option("--input", help="A .jsonl, .csv, .xlsx or .parquet file.")],
    pages: Annotated[Path, typer.Option(help="Pages made by `drag ingest`; every gold page must be there.")],
    out: Annotated[Path, typer.Option(help="Folder for questions.{train,val,test}.parquet.")],
    val: Annotated[float, typer.Option(help="Share of questions for val, 0 to 1; whole documents.")] = 0.1,
    test: Annotated[
        float, typer.Option(help="Share of questions for test; 1 makes a benchmark of all, with --val 0.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the order.")] = 0,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS",
            help="What your file calls a column, such as question=Frage; repeat it. Others of yours are passed over.",
        ),
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(help="Sheet of the workbook.", show_default="the only one")
    ] = None,
) -> None:
    """Turn your own questions into training files, split by document."""
    columns = read_columns(column or (), COLUMNS)
    run: dict[str, Any] = {"val": val, "test": test, "seed": seed, "columns": columns, "sheet": sheet}
    try:
        manifest = import_questions(input_file, pages, out, **run)
    except BadRowsError as error:
        lines = Console(stderr=True, soft_wrap=True, highlight=False)
        for problem in error.problems if len(error.problems) > 1 else ():
            lines.print(f"{problem.where}: {' '.join(problem.reason.split())}", markup=False)
        raise
    report(Console(), out, manifest)


if __name__ == "__main__":
    run_app(app, "data_preprocess.user_questions")
