"""Relevance judgements: TREC's four columns, and BEIR's three with a header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.question_rows import shown
from drag_rl.errors import InputError

_GRADE = re.compile(r"([+-]?[0-9]{1,9})(?:\.0{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How relevant a document is to a query."""

    query_id: str
    doc_id: str
    grade: int
    """0 or less: not relevant. Higher is better."""
    line: int
    """1-based, in its file."""


def read_qrels(path: Path) -> Iterator[Judgement]:
    """The judgements of a file, in order.

    TREC's lines are ``query iteration document grade``, between any white space. BEIR's are ``query document grade``,
    between tabs, the first of which names the columns: a line whose grade is no number is such a header if it is the
    first, so that a file without one loses nothing. Grades are whole numbers, though they may be written ``1.0``.
    Raises ``InputError`` naming the file and the line that is wrong.
    """
    for number, line in _lines(path):
        fields = line.split("\t") if line.count("\t") == 2 else line.split()
        if len(fields) not in (3, 4):
            raise InputError(
                f"{path} line {number}: has {len(fields)} fields, not the 4 of TREC qrels (query, iteration, document, "
                "grade) or the 3 of BEIR's (query, document, grade, between tabs)"
            )
        query_id, doc_id, grade = fields[0].strip(), fields[-2].strip(), _GRADE.fullmatch(fields[-1].strip())
        if grade is None:
            if number == 1 and len(fields) == 3:
                continue
            raise InputError(f"{path} line {number}: grade {shown(fields[-1])} is not a whole number")
        if not (query_id and doc_id):
            raise InputError(f"{path} line {number}: names no query or no document")
        yield Judgement(query_id=query_id, doc_id=doc_id, grade=int(grade[1]), line=number)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
