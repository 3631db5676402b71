"""Rows of parquet files that others wrote, one after another in bounded memory, and the images in their cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drag_rl.errors import InputError

BATCH_ROWS = 8
"""Rows that are held at a time; one may have an image of many megabytes."""
READ_BYTES = 1 << 20
"""Bytes read at a time. With Arrow's own buffering ahead, all that was read stays in memory until the end."""


def columns_of(path: Path) -> list[str]:
    """The names of a file's columns; raises ``InputError`` if it is no parquet file."""
    try:
        return [str(name) for name in pq.read_schema(path).names]
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as parquet ({_line(error)}); download it again") from None


def parquet_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row of a file with its 1-based number: column -> value, None for a null.

    Raises ``InputError`` for a file that is damaged, also in its middle.
    """
    number = 0
    try:
        with pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False) as file:
            batches = file.iter_batches(
                BATCH_ROWS, columns=None if columns is None else list(columns), use_threads=False
            )
            for batch in batches:
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as parquet ({_line(error)}); download it again") from None


def image_of(cell: object) -> bytes | str:
    """The encoded image of a cell, or why there is none.

    A cell is bytes, or as Hugging Face's datasets write it, ``{"bytes": ..., "path": ...}``.

    >>> image_of({"bytes": b"x", "path": "a.png"}), image_of(b"x"), image_of(None)
    (b'x', b'x', 'has no image')
    """
    if isinstance(cell, dict):
        if cell.get("bytes") is None and cell.get("path"):
            return f"has the path of an image, {str(cell['path'])[:80]!r}, and not the image itself"
        cell = cell.get("bytes")
    if isinstance(cell, bytes):
        return cell or "has an empty image"
    return "has no image" if cell is None else f"has no image but {type(cell).__name__}"


def text_of(cell: object) -> str:
    """A cell as text without blanks around it: that of a number that is whole without a point; empty for a null.

    >>> text_of(7.0), text_of(" a "), text_of(None)
    ('7', 'a', '')
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()


def texts_of(cell: object) -> list[str]:
    """The texts of a cell that holds one or a list of them; each once, without empty ones."""
    cells = cell if isinstance(cell, list) else [cell]
    return list(dict.fromkeys(text for text in map(text_of, cells) if text))


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
