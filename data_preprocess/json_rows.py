"""Rows of a JSON file that holds a list of objects, or an object with such a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drag_rl.errors import InputError

MAX_BYTES = 1 << 30
"""Bytes of a file that is read as one, at most."""
LOOKED_AT = 100
"""Rows that are looked at to see what a file is."""


def json_rows(path: Path, name: str) -> list[dict[str, Any]]:
    """The objects of ``{name: [...]}``, or of ``[...]``; what is no object in it, in its place, is an empty one.

    Raises ``InputError`` for a file that is damaged, or another JSON.
    """
    rows = json_value(path)
    rows = rows.get(name) if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or (rows and not any(isinstance(row, dict) for row in rows)):
        raise InputError(f'{path}: is neither {{"{name}": [...]}} nor a list of objects')
    return [row if isinstance(row, dict) else {} for row in rows]


def json_value(path: Path) -> Any:
    """What a JSON file holds; raises ``InputError`` if it is damaged or very large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: is larger than {MAX_BYTES >> 20} MiB")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None


def is_rows(path: Path, name: str, *fields: str) -> bool:
    """Whether a file holds such rows, and one of the first has these fields."""
    try:
        rows = json_rows(path, name)
    except InputError:
        return False
    return any(all(field in row for field in fields) for row in rows[:LOOKED_AT])
