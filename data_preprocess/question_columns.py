"""Rows of a user's file of questions, in whichever form, under the names of columns that we know.

A spreadsheet or a table that was made for something else calls its columns otherwise, and has more of them:
``--column question=Frage`` says which column is the question. Then what is not named is passed over; without any such
option a column that is unknown is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_preprocess.bad_rows import OnBadRow, refuse
from data_preprocess.parquet_rows import columns_of, parquet_rows
from data_preprocess.question_rows import Row, plain_value, read_rows, shown
from drag_rl.errors import InputError

SPREADSHEETS, LINES = (".xlsx", ".xlsm"), (".jsonl", ".csv")
"""Suffixes of files with numbered rows, and with numbered lines."""


def table_rows(path: Path, sheet: str | None = None, bad: OnBadRow = refuse) -> Iterator[tuple[int, Row]]:
    """The 1-based number, of the line or row, of each row of a ``.jsonl``, ``.csv``, ``.xlsx`` or ``.parquet`` file.

    ``bad`` is told of rows that are wrong. Raises ``InputError`` for a file that cannot be read, and for a ``sheet``
    where there is none.
    """
    suffix = path.suffix.lower()
    if sheet is not None and suffix not in SPREADSHEETS:
        raise InputError(f"--sheet: {path} is no workbook; leave it out")
    if suffix in SPREADSHEETS:
        from data_preprocess.spreadsheet_rows import spreadsheet_rows

        yield from spreadsheet_rows(path, sheet, bad)
    elif suffix == ".parquet":
        columns_of(path)  # also where there are no rows
        for number, row in parquet_rows(path):
            yield number, {name: plain_value(value) for name, value in row.items()}
    elif suffix in LINES:
        yield from read_rows(path, bad)
    else:
        raise InputError(f"{path}: must be a .jsonl, .csv, .xlsx or .parquet file")


def place_in(path: Path, number: int) -> str:
    """Where a row stands, as an error says it.

    >>> place_in(Path("my.csv"), 3), place_in(Path("my.xlsx"), 3)
    ('my.csv line 3', 'my.xlsx row 3')
    """
    return f"{path} {'line' if path.suffix.lower() in LINES else 'row'} {number}"


def read_columns(settings: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Our name -> the file's, from ``OURS=THEIRS``; raises ``InputError`` for a setting that is none.

    >>> read_columns(["question=Frage", "page=Seite (PDF)"], ["question", "page"])
    {'question': 'Frage', 'page': 'Seite (PDF)'}
    """
    found: dict[str, str] = {}
    for setting in settings:
        ours, equals, theirs = setting.partition("=")
        if not (equals and ours.strip() in known and theirs.strip()):
            raise InputError(f"--column {setting}: give OURS=THEIRS, with one of {', '.join(known)} as OURS")
        if ours.strip() in found:
            raise InputError(f"--column {setting}: {ours.strip()} is given twice")
        found[ours.strip()] = theirs.strip()
    return found


def renamed(row: Row, columns: Mapping[str, str], known: Sequence[str]) -> Row:
    """A row under our names. Raises ``InputError`` for a column that is unknown, or that is not there.

    >>> dict(renamed({"Frage": "How?", "page": 3, "Datum": "1.1."}, {"question": "Frage"}, ["question", "page"]))
    {'question': 'How?', 'page': 3}
    """
    if not columns:
        unknown = next((name for name in row if name not in known), None)
        if unknown is not None:
            raise InputError(
                f"column {shown(unknown)} is unknown; the columns are {', '.join(known)}; --column OURS=THEIRS says "
                "which of yours is which"
            )
        return row
    for ours, theirs in columns.items():
        if theirs not in row:
            raise InputError(f"has no column {shown(theirs)}, which --column names for {ours}")
    own = {name: value for name, value in row.items() if name in known and name not in columns}
    return {**{ours: row[theirs] for ours, theirs in columns.items()}, **own}
