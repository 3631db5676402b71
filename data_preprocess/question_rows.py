"""Read the rows of a user's JSONL or CSV file strictly, each with its line number.

Wrong rows are told with file and line: duplicated names, ``NaN`` and infinity, lone surrogates (halves of characters,
which cannot be stored), and very deep nesting.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NoReturn

from data_preprocess.bad_rows import OnBadRow
from drag_rl.errors import InputError

Row = Mapping[str, Any]

DELIMITERS = ",;\t"
"""What stands between the fields of a CSV: the one of these that the header has most of. Excel writes semicolons where
the comma is the decimal point."""
SHOWN_CHARS = 100
"""Characters of a wrong value that a message shows, at most."""


def read_rows(path: Path, bad: OnBadRow) -> Iterator[tuple[int, Row]]:
    """Each row with its 1-based line number; ``bad`` is told of those that are wrong.

    Raises ``InputError`` for a file that cannot be read, or whose rows cannot be told apart.
    """
    readers: dict[str, Callable[[Path, OnBadRow], Iterator[tuple[int, Row]]]] = {
        ".jsonl": _json_rows,
        ".csv": _csv_rows,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: must be a .jsonl or .csv file")
    try:
        yield from reader(path, bad)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 {path.suffix[1:]} ({error})") from error


def shown(value: object) -> str:
    """A value as a message can show it: in one short line."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def plain_value(value: Any) -> Any:
    """A cell of a table as JSON would have it: dates as text, whole numbers without a point, None for no number.

    >>> plain_value(3.0), plain_value(float("nan")), plain_value(datetime(2024, 5, 1))
    (3, None, '2024-05-01')
    """
    if isinstance(value, datetime | date | time):
        return value.isoformat().removesuffix("T00:00:00")
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value


def json_object(line: str) -> dict[str, Any]:
    """The object that a line of JSON is; raises ``InputError`` that says what is wrong with it."""
    try:
        row = _DECODER.decode(line)
        if "\\u" in line:  # only what is written so can be half a character
            json.dumps(row, ensure_ascii=False).encode()
    except RecursionError as error:
        raise InputError("is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise InputError(f"holds {error.object[error.start]!a}, a lone surrogate") from error
    except ValueError as error:
        raise InputError(f"is not a JSON object ({error})") from error
    if not isinstance(row, dict):
        raise InputError("is not a JSON object")
    return row


def _json_rows(path: Path, bad: OnBadRow) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json_object(line)
            except InputError as error:
                bad(f"{path} line {number}", str(error))
            else:
                yield number, row


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"{_twice([name for name, _ in pairs])!r} is duplicated")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def _csv_rows(path: Path, bad: OnBadRow) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, strict=True, delimiter=max(DELIMITERS, key=header.count))
        names = reader.fieldnames or ()
        if len(set(names)) < len(names):
            raise InputError(f"{path} line 1: column {_twice(names)!r} is duplicated")
        for row in reader:
            if None in row or None in row.values():
                bad(f"{path} line {reader.line_num}", "has more or fewer fields than the header")
            elif any(row.values()):
                yield reader.line_num, row


def _twice(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
