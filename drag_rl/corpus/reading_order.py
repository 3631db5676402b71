"""Put the lines of a page in the order in which a person reads them.

A page is cut at its gutters: columns are read one after the other, between the lines that span them (titles,
captions, footers). Within a column lines go from top to bottom, and those on one baseline from left to right. A table
is no set of columns: it is read row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

import numpy as np

MIN_COLUMN_LINES = 5
"""Fewer lines than this on one side of a gap are no column."""
MAX_SPANNING_SHARE = 0.2
"""Share of a page's lines that may cross a gutter."""
MAX_ALTERNATION = 0.75
"""Two sides are columns if the file, while drawing, changes side at most this often per line of the smaller
side; tables that are drawn row by row have about 2."""
MAX_CELL_HEIGHTS = 8.0
"""A side as narrow as this, in heights of its text, is a column of cells if its lines have neighbours on the other
side: a table that is drawn column by column. Columns of prose are wider, and so is the longest entry of an index."""
MIN_NEIGHBOURS = 0.9
"""Share of the narrower side's lines that have a line of the other side on their baseline, in a table."""

MAX_DEPTH = 16
"""Columns within columns, at most; a page that goes on is read from top to bottom."""
MAX_GUTTERS = 1000
"""Gutters of a page that are tried, best first: as many as a page has points across."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and its box in points, y growing downwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


def reading_order(lines: Sequence[Line]) -> list[list[Line]]:
    """The rows of a page, given its lines in the order in which the file draws them.

    A row holds the lines that share a baseline within one column, from left to right.

    >>> lines = Line("world", 50, 20, 90, 30), Line("hello", 0, 20, 40, 30), Line("up", 0, 0, 9, 10)
    >>> [[line.text for line in row] for row in reading_order(lines)]
    [['up'], ['hello', 'world']]
    """
    return _in_order(lines, MAX_DEPTH)


def _in_order(lines: Sequence[Line], depth: int) -> list[list[Line]]:
    gutter = _gutter(lines) if depth else None
    if gutter is None:
        return _rows(lines)
    rows: list[list[Line]] = []
    drawn_at = {id(line): number for number, line in enumerate(lines)}
    by_top = sorted(lines, key=lambda line: line.y0)
    for spanning, lines_of_band in groupby(by_top, key=lambda line: _side(line, gutter) == 0):
        band = list(lines_of_band)
        if spanning or _is_table(band, gutter):
            rows += _rows(band)
            continue
        drawn = sorted(band, key=lambda line: drawn_at[id(line)])
        for side in (-1, 1):
            rows += _in_order([line for line in drawn if _side(line, gutter) == side], depth - 1)
    return rows


def _gutter(lines: Sequence[Line]) -> tuple[float, float] | None:
    """The strip, a text height wide, that best parts the lines into two columns; None if nothing does."""
    if len(lines) < 2 * MIN_COLUMN_LINES:
        return None
    width = 0.8 * median(line.y1 - line.y0 for line in lines)
    x0_L, x1_L = (np.array([getattr(line, name) for line in lines]) for name in ("x0", "x1"))
    edges_E = np.unique(np.round(x1_L) + 0.5)
    lefts_E = np.searchsorted(np.sort(x1_L), edges_E, "right")
    rights_E = len(lines) - np.searchsorted(np.sort(x0_L), edges_E + width, "left")
    spanning_E = len(lines) - lefts_E - rights_E
    smaller_E = np.minimum(lefts_E, rights_E)
    fits_E = (smaller_E >= MIN_COLUMN_LINES) & (spanning_E <= MAX_SPANNING_SHARE * len(lines))
    goodness_E = smaller_E - 2 * spanning_E
    best_first_E = np.argsort(-goodness_E, kind="stable")
    for number in best_first_E[fits_E[best_first_E]][:MAX_GUTTERS]:
        strip = (float(edges_E[number]), float(edges_E[number] + width))
        sides_L = np.where(x1_L <= strip[0], -1, np.where(x0_L >= strip[1], 1, 0))
        changes = np.count_nonzero(np.diff(sides_L[sides_L != 0]))
        if changes <= MAX_ALTERNATION * smaller_E[number]:
            return strip
    return None


def _is_table(band: Sequence[Line], gutter: tuple[float, float]) -> bool:
    """Whether the narrower of the two sides has cells of rows, and no lines of its own."""
    sides = [[line for line in band if _side(line, gutter) == side] for side in (-1, 1)]
    if not all(sides):
        return False
    narrow, wide = sorted(sides, key=_width)
    height = median(line.y1 - line.y0 for line in narrow)
    if _width(narrow) > MAX_CELL_HEIGHTS * height:
        return False
    others_O, own_N = (np.sort([(line.y0 + line.y1) / 2 for line in side]) for side in (wide, narrow))
    after_N = np.searchsorted(others_O, own_N).clip(0, len(others_O) - 1)
    away_N = np.minimum(abs(others_O[after_N] - own_N), abs(others_O[after_N - 1] - own_N))
    return bool(np.mean(away_N < 0.5 * height) >= MIN_NEIGHBOURS)


def _width(lines: Sequence[Line]) -> float:
    return max(line.x1 for line in lines) - min(line.x0 for line in lines)


def _side(line: Line, strip: tuple[float, float]) -> int:
    """-1 left of the strip, 1 right of it, 0 across."""
    if line.x1 <= strip[0]:
        return -1
    return 1 if line.x0 >= strip[1] else 0


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.y0 + line.y1, line.x0)):
        if rows and _share_baseline(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.x0) for row in rows]


def _share_baseline(one: Line, other: Line) -> bool:
    overlap = min(one.y1, other.y1) - max(one.y0, other.y0)
    return overlap > 0.5 * min(one.y1 - one.y0, other.y1 - other.y0)
