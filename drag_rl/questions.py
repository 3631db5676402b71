"""Questions as rows of verl's parquet files, both ways: the one place that knows their columns.

A row has ``data_source``, ``agent_name``, ``prompt`` (one user message), ``images``, ``ability``, ``reward_model`` (the
gold pages, their grades, and answers) and ``extra_info`` (the question itself, and the document that it is asked of).
Every file has the same schema, empty lists included. Among the columns are those of Search-R1's files, so that its
reward can be given ours: the answers are in ``reward_model.ground_truth.target``, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_path
from drag_rl.types import Question

AGENT_NAME = "drag_search"
"""Name of the agent loop that plays these questions, see :mod:`drag_rl.verl_plugin`."""
ROWS_AT_A_TIME = 4096
"""Rows of a file that are held in memory while it is read or written."""
ABILITY = "fact-reasoning"
"""What questions ask for, in the words of Search-R1's files."""

_TEXTS = pa.list_(pa.string())
_TRUTH = pa.struct(
    [("page_ids", _TEXTS), ("answers", _TEXTS), ("grades", pa.list_(pa.int64())), ("target", _TEXTS)]
)
_EXTRA_INFO = pa.struct(
    [
        ("index", pa.int64()),
        ("split", pa.string()),
        ("question_id", pa.string()),
        ("question", pa.string()),
        ("images", _TEXTS),
        ("document", pa.string()),
    ]
)
ROW_SCHEMA = pa.schema(
    {
        "data_source": pa.string(),
        "agent_name": pa.string(),
        "prompt": pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
        "images": pa.list_(pa.struct([("image", pa.string())])),
        "ability": pa.string(),
        "reward_model": pa.struct([("style", pa.string()), ("ground_truth", _TRUTH)]),
        "extra_info": _EXTRA_INFO,
    }
)

_MEDIA_TOKEN = re.compile(r"<(image|video|audio)>")


def question_to_row(question: Question, index: int, split: str) -> dict[str, Any]:
    """The row of a question; ``index`` is its 0-based row number in the file of ``split``.

    In the prompt, each image stands as ``<image>`` before the text, and such a token that the text itself
    holds is broken up, for verl would take it for one more image.
    """
    content = question.text
    if question.images:
        content = "<image>" * len(question.images) + _MEDIA_TOKEN.sub(r"< \1 >", question.text)
    return {
        "data_source": question.data_source,
        "agent_name": AGENT_NAME,
        "prompt": [{"role": "user", "content": content}],
        "images": [{"image": image} for image in question.images],
        "ability": ABILITY,
        "reward_model": {
            "style": "rule",
            "ground_truth": {
                "page_ids": list(question.gold_page_ids),
                "answers": list(question.answers),
                "grades": list(question.gold_grades),
                "target": list(question.answers),
            },
        },
        "extra_info": {
            "index": index,
            "split": split,
            "question_id": question.question_id,
            "question": question.text,
            "images": list(question.images),
            "document": question.document,
        },
    }


def question_from_row(row: Mapping[str, Any]) -> Question:
    """The question of a row, as read from parquet or as verl passes it on (numpy arrays and strings).

    A gold page that is named twice counts once. Files of older versions know no grades, which are all 1 there, and no
    documents: their questions are asked of the whole corpus. Raises ``InputError`` naming the column that is missing
    or wrong.
    """
    extra = _column(row, "extra_info")
    truth = _column(_column(row, "reward_model"), "ground_truth", "reward_model.ground_truth")
    question = Question(
        question_id=_text(extra, "question_id"),
        text=_text(extra, "question"),
        gold_page_ids=tuple(dict.fromkeys(_texts(truth, "page_ids"))),
        answers=_texts(truth, "answers"),
        data_source=_text(row, "data_source"),
        images=_texts(extra, "images"),
    )
    if not question.gold_page_ids:
        raise InputError("reward_model.ground_truth.page_ids is empty; a question needs a gold page")
    grades, document = _grades(truth), extra.get("document")
    try:
        question = replace(question, gold_grades=grades)
    except ValueError as error:
        raise InputError(f"reward_model.ground_truth.grades: {error}") from None
    if not isinstance(document, str | None):
        raise InputError("extra_info.document is not a text")
    try:
        return replace(question, document=str(document or ""))
    except ValueError as error:
        raise InputError(f"extra_info.document: {error}") from None


def write_questions(path: Path, questions: Iterable[Question], split: str) -> int:
    """Write a split's questions atomically, one batch of rows at a time; returns how many.

    Raises ``InputError`` for a repeated question id, or for no question at all: verl cannot read an empty
    file.
    """
    seen: set[str] = set()
    rows = (question_to_row(question, index, split) for index, question in enumerate(questions))
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, ROW_SCHEMA) as writer:
        while batch := list(islice(rows, ROWS_AT_A_TIME)):
            _check_unique(path, (row["extra_info"]["question_id"] for row in batch), seen)
            writer.write_table(pa.Table.from_pylist(batch, schema=ROW_SCHEMA))
        if not seen:
            raise InputError(f"{path}: there is no question to write")
    return len(seen)


def read_questions(path: Path) -> list[Question]:
    """All questions of a file, in order.

    Raises ``InputError`` naming the file, and the row (1-based) that is wrong; for a file without any question too.
    """
    questions = []
    for number, found in each_question(path):
        if isinstance(found, InputError):
            raise InputError(f"{path}: row {number}: {found}") from found
        questions.append(found)
    if not questions:
        raise InputError(f"{path}: has no question")
    _check_unique(path, (question.question_id for question in questions), set())
    return questions


def each_question(path: Path) -> Iterator[tuple[int, Question | InputError]]:
    """Each row of a file, numbered from 1, as its question or as what is wrong with it; one batch is held at a time.

    Raises ``InputError`` naming a file that is missing, or is none of questions.
    """
    columns = ["data_source", "reward_model", "extra_info"]
    try:
        with pq.ParquetFile(path) as file:
            batches = file.iter_batches(ROWS_AT_A_TIME, columns=columns)
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield number, _question_or_error(row)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; make it with `drag data`") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: is not a file of questions ({str(error).splitlines()[0]})") from error


def _question_or_error(row: Mapping[str, Any]) -> Question | InputError:
    try:
        return question_from_row(row)
    except InputError as error:
        return error


def _check_unique(path: Path, question_ids: Iterable[str], seen: set[str]) -> None:
    """Add the ids of the next rows to those ``seen``; raises ``InputError`` for one that is there."""
    for number, question_id in enumerate(question_ids, start=len(seen) + 1):
        if question_id in seen:
            raise InputError(
                f"{path}: row {number}: question id {question_id!r} is duplicated; make ids unique"
            )
        seen.add(question_id)


def _column(row: Mapping[str, Any], name: str, shown: str = "") -> Mapping[str, Any]:
    value = row.get(name)
    if not isinstance(value, Mapping):
        raise InputError(f"column {shown or name} is missing; make the file with `drag data`")
    return value


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} is missing or empty")
    return str(value)


def _texts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name)
    if value is None:
        return ()
    if (
        isinstance(value, str | Mapping)
        or not isinstance(value, Iterable)
        or not all(isinstance(item, str) for item in value)
    ):
        raise InputError(f"{name} is not a list of texts")
    return tuple(str(item) for item in value)


def _grades(truth: Mapping[str, Any]) -> tuple[int, ...]:
    value = truth.get("grades")
    if value is None:
        return ()
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InputError("grades is not a list of whole numbers")
    grades = [*value]
    if not all(isinstance(grade, Integral) for grade in grades):
        raise InputError("grades is not a list of whole numbers")
    return tuple(int(grade) for grade in grades)
