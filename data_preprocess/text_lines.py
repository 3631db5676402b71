"""Lines of large text files, plain or gzipped, one after another: each is text, or is a row that is wrong.

Memory is bounded whatever a file holds: by the longest line that is read. A line that is no UTF-8, or too long, is one
bad row, and the next one is read.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.bad_rows import OnBadRow, refuse
from data_preprocess.question_rows import Row, json_object
from drag_rl.errors import InputError

MAX_LINE_BYTES = 64 << 20
BOM = b"\xef\xbb\xbf"


def text_lines(
    path: Path, bad: OnBadRow = refuse, *, otherwise: str | None = None
) -> Iterator[tuple[str, str]]:
    """Where each line stands, ``"<path> line <n>"``, and its text without the line's end; empty lines are passed over.

    A line that is not UTF-8 is read in the encoding ``otherwise``, if one is given.
    Raises ``InputError`` for a file that cannot be read at all, or whose gzip is damaged.
    """
    try:
        with _opened(path) as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES):
                number += 1
                where = f"{path} line {number}"
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    bad(where, f"has more than {MAX_LINE_BYTES >> 20} MiB")
                    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
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
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: its gzip is damaged ({error}); download it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def json_lines(path: Path, bad: OnBadRow = refuse) -> Iterator[tuple[str, Row]]:
    """The same of lines that are JSON objects, one each."""
    for where, text in text_lines(path, bad):
        try:
            row = json_object(text)
        except InputError as error:
            bad(where, str(error))
        else:
            yield where, row


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")
