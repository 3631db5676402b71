"""Rows of an Excel workbook, ``.xlsx`` or ``.xlsm``, that somebody else made: one sheet, in bounded memory.

The first row that holds anything names the columns. Formulas are the values that were last calculated for them. What a
workbook could do to its reader is limited: how large it is once unpacked, and entities of XML, which may grow without
end, are refused before anything is parsed. Nothing in it is run.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from data_preprocess.bad_rows import OnBadRow, refuse
from data_preprocess.question_rows import plain_value
from drag_rl.errors import InputError

SUFFIXES = (".xlsx", ".xlsm")
MAX_UNPACKED_BYTES = 1 << 30
MAX_COLUMNS = 1000
_FIRST_BYTES = 1 << 16
"""Of each part; a declaration of entities stands before all else in it."""

Cells = tuple[Any, ...]


def spreadsheet_rows(
    path: Path, sheet: str | None = None, bad: OnBadRow = refuse
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row that is not empty, with its 1-based number in the sheet: column -> text, number or None.

    ``sheet`` may be left out where there is only one. ``bad`` is told of rows that are wrong. Raises ``InputError`` for
    a file that cannot be read, and for a header that is wrong.
    """
    try:
        _check_parts(path)
        with (
            warnings.catch_warnings(action="ignore"),  # of styles that are unknown, say
            path.open("rb") as file,
            closing(openpyxl.load_workbook(file, read_only=True, data_only=True)) as book,
        ):
            chosen = _sheet(path, book, sheet)
            chosen.reset_dimensions()  # what the file says of its size may be wrong
            yield from _named(path, chosen.iter_rows(), bad)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        InvalidFileException,
        ParseError,
        LookupError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: cannot be read as a workbook ({reason}); save it again as .xlsx, without a password"
        ) from error


def _check_parts(path: Path) -> None:
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > MAX_UNPACKED_BYTES:
            raise InputError(
                f"{path}: has more than {MAX_UNPACKED_BYTES >> 20} MiB unpacked; save the sheet as .csv"
            )
        for part in parts.infolist():
            with parts.open(part) as file:
                if b"<!DOCTYPE" in file.read(_FIRST_BYTES):
                    raise InputError(f"{path}: {part.filename} declares entities of XML, which none needs")


def _sheet(path: Path, book: Any, name: str | None) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if name is None and len(sheets) == 1:
        return next(iter(sheets.values()))
    if name not in sheets:
        which = "has several sheets" if name is None else f"has no sheet {name!r}"
        raise InputError(f"{path}: {which}; give --sheet one of {', '.join(map(repr, sheets))}")
    return sheets[name]


def _named(path: Path, rows: Iterator[Cells], bad: OnBadRow) -> Iterator[tuple[int, dict[str, Any]]]:
    names: list[str] = []
    for number, cells in enumerate(rows, start=1):
        where = f"{path} row {number}"
        if len(cells) > MAX_COLUMNS:
            raise InputError(f"{where}: has more than {MAX_COLUMNS} columns")
        if error := _error_in(names, cells):
            bad(where, error)
            continue
        values = [_value(cell) for cell in cells]
        while values and values[-1] is None:
            values.pop()
        if not values:
            continue
        if not names:
            names = _header(where, values)
        elif len(values) > len(names):
            bad(where, f"has {len(values)} cells, more than the {len(names)} that the header names")
        else:
            values += [None] * (len(names) - len(values))
            yield number, {name: value for name, value in zip(names, values, strict=True) if name}


def _header(where: str, values: Sequence[Any]) -> list[str]:
    names = ["" if value is None else str(value).strip() for value in values]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise InputError(f"{where}: column {twice!r} is duplicated")
    return names


def _error_in(names: Sequence[str], cells: Cells) -> str:
    """What is said of the first cell whose formula has failed; empty if there is none."""
    for place, cell in enumerate(cells):
        if getattr(cell, "data_type", "") == "e":
            column = names[place] if place < len(names) else place + 1
            return f"column {column!r} holds the error {cell.value}"
    return ""


def _value(cell: Any) -> Any:
    """What a cell holds: dates as text, whole numbers without a point, blanks as None."""
    value = cell.value
    return None if isinstance(value, str) and not value.strip() else plain_value(value)
