"""Regions of pages that no image may show: ``redactions.jsonl`` in a folder of pages.

One page a line, boxes in points as PyMuPDF's text extraction and search give them (from the top left
corner, before any page rotation)::

    {"page_id": "R-FAQ#12", "boxes": [[72.0, 90.5, 310.2, 104.0]]}

Whoever asks questions made from printed headings writes it, so that finding the page is more than matching
strings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_write

REDACTIONS_FILE = "redactions.jsonl"

Box = tuple[float, float, float, float]
"""``(x0, y0, x1, y1)`` in points, y growing downwards."""


def write_redactions(pages_dir: Path, redactions: Mapping[str, Sequence[Box]]) -> None:
    """Write the regions to blank, by page id; pages without any are left out."""
    with atomic_write(pages_dir / REDACTIONS_FILE) as file:
        for page_id, boxes in sorted(redactions.items()):
            if boxes:
                line = {"page_id": page_id, "boxes": [list(box) for box in boxes]}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_redactions(pages_dir: Path) -> dict[str, tuple[Box, ...]]:
    """The regions to blank, by page id; empty if the folder has no such file.

    Raises ``InputError`` naming the line that is wrong: a damaged file must not show what it was to hide.
    """
    path = pages_dir / REDACTIONS_FILE
    redactions: dict[str, tuple[Box, ...]] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line)
            boxes = tuple(_box(box) for box in row["boxes"])
            redactions[str(row["page_id"])] = redactions.get(str(row["page_id"]), ()) + boxes
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{path} line {number}: no page_id with boxes of four numbers") from error
    return redactions


def _box(values: Sequence[float]) -> Box:
    x0, y0, x1, y1 = (float(value) for value in values)
    if not (x0 <= x1 and y0 <= y1):
        raise ValueError(f"box {values} is empty")
    return (x0, y0, x1, y1)
