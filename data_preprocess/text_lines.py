"""Lines of large text files, plain or gzipped, one after another: each is text, or is a row that is wrong.

Memory is bounded whatever a file holds: by the longest line that is read. A line that is no UTF-8, or too long, is one
bad row, and the next one is read. A file may be read in pieces of whole lines, each by another process: what they give,
one piece after the other, is what the file gives.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data_preprocess.bad_rows import OnBadRow, refuse
from data_preprocess.question_rows import Row, json_object
from drag_rl.errors import InputError

MAX_LINE_BYTES = 64 << 20
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Whole lines of a file that follow one another."""

    path: Path
    """The file that they are of, as messages name it; it is not opened."""
    first: int
    """Number of the first of them in the file, from 1."""
    data: bytes
    """The lines. One that is too long is cut, has no end, and is the last."""


LineSource = Path | Piece
"""What lines are read from: a file, or a piece of it."""


def text_lines(
    source: LineSource, bad: OnBadRow = refuse, *, otherwise: str | None = None
) -> Iterator[tuple[str, str]]:
    """Where each line stands, ``"<path> line <n>"``, and its text without the line's end; empty lines are passed over.

    A line that is not UTF-8 is read in the encoding ``otherwise``, if one is given.
    Raises ``InputError`` for a file that cannot be read at all, or whose gzip is damaged.
    """
    path = source.path if isinstance(source, Piece) else source
    for number, line in _raw_lines(source):
        where = f"{path} line {number}"
        if _is_too_long(line):
            bad(where, f"has more than {MAX_LINE_BYTES >> 20} MiB")
            continue
        try:
            text = line.removeprefix(BOM if number == 1 else b"").decode()
        except UnicodeDecodeError as error:
            if otherwise is None:
                bad(where, f"is not UTF-8 text ({error.reason})")
                continue
            text = line.decode(otherwise, errors="replace")
        if text.strip():
            yield where, text.rstrip("\r\n")


def pieces(path: Path, size_bytes: int) -> Iterator[Piece]:
    """A file as pieces of at least ``size_bytes``, unpacked, and at most a line more; the last may be smaller.

    Raises ``InputError`` as :func:`text_lines` does.
    """
    first, lines, size = 1, list[bytes](), 0
    for number, line in _raw_lines(path):
        lines.append(line)
        size += len(line)
        if size >= size_bytes or _is_too_long(line):
            yield Piece(path=path, first=first, data=b"".join(lines))
            first, lines, size = number + 1, [], 0
    if lines:
        yield Piece(path=path, first=first, data=b"".join(lines))


def json_lines(source: LineSource, bad: OnBadRow = refuse) -> Iterator[tuple[str, Row]]:
    """The same of lines that are JSON objects, one each."""
    for where, text in text_lines(source, bad):
        try:
            row = json_object(text)
        except InputError as error:
            bad(where, str(error))
        else:
            yield where, row


def _raw_lines(source: LineSource) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1; of one that is too long only the beginning, without an end."""
    with _opened(source) as file:
        number = source.first - 1 if isinstance(source, Piece) else 0
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            yield number, line
            if _is_too_long(line):
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass


def _is_too_long(line: bytes) -> bool:
    return len(line) >= MAX_LINE_BYTES and not line.endswith(b"\n")


@contextmanager
def _opened(source: LineSource) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The bytes; raises ``InputError`` for a file that is not there or cannot be read, while it is read, too."""
    if isinstance(source, Piece):
        yield io.BytesIO(source.data)
        return
    try:
        with gzip.open(source, "rb") if source.suffix.lower() == ".gz" else source.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{source}: its gzip is damaged ({error}); download it again") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None
