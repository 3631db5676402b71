"""Relevance judgements: TREC's four columns, and BEIR's three with a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.bad_rows import OnBadRow, refuse
from data_preprocess.question_rows import shown
from data_preprocess.text_lines import text_lines

_GRADE = re.compile(r"([+-]?[0-9]{1,9})(?:\.0{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How relevant a document is to a query."""

    query_id: str
    doc_id: str
    grade: int
    """0 or less: not relevant. Higher is better."""
    where: str
    """Its file and line."""


def read_qrels(path: Path, bad: OnBadRow = refuse) -> Iterator[Judgement]:
    """The judgements of a file, in order; it may be gzipped.

    TREC's lines are ``query iteration document grade``, between any white space. BEIR's are ``query document grade``,
    between tabs and with quotes as in CSV, which its own loader reads; the first names the columns: a line whose grade
    is no number is such a header if it is the first, so that a file without one loses nothing. Grades are whole
    numbers, though they may be written ``1.0``.
    Raises ``InputError`` naming the file and the line that is wrong, or tells ``bad``.
    """
    for number, (where, line) in enumerate(text_lines(path, bad), start=1):
        try:
            fields = next(csv.reader([line], delimiter="\t")) if line.count("\t") == 2 else line.split()
        except csv.Error as error:
            bad(where, f"cannot be read ({error})")
            continue
        if len(fields) not in (3, 4):
            bad(
                where,
                f"has {len(fields)} fields, not the 4 of TREC qrels (query, iteration, document, grade) or the 3 of "
                "BEIR's (query, document, grade, between tabs)",
            )
            continue
        query_id, doc_id, grade = fields[0].strip(), fields[-2].strip(), _GRADE.fullmatch(fields[-1].strip())
        if grade is None:
            if number > 1 or len(fields) != 3:
                bad(where, f"grade {shown(fields[-1])} is not a whole number")
        elif not (query_id and doc_id):
            bad(where, "names no query or no document")
        else:
            yield Judgement(query_id=query_id, doc_id=doc_id, grade=int(grade[1]), where=where)
