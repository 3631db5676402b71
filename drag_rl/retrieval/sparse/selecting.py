"""The loops that keep the best of many pages, compiled: a heap of as many as are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.compiled import compiled

Array = npt.NDArray[Any]
BLOCK = 256
"""So many pages are looked at together, to see whether any of them may be a hit."""
NO_SCORE, ZERO, ONE = np.float32(0), np.int32(0), np.int32(1)


@compiled
def select(values: Array, rows: Array, first: int, hit_rows: Array, hit_scores: Array) -> int:
    """The best pages, best first; returns how many there are.

    ``values`` are scores, 0 for none, of pages: ``rows`` or, if that is empty, all from ``first`` on. While it fills,
    the list of hits is a heap whose first is the worst.
    """
    size = 0
    if len(hit_rows) == 0:
        return size
    for begin in range(0, len(values), BLOCK):
        end = min(begin + BLOCK, len(values))
        least = hit_scores[0] if size == len(hit_rows) else NO_SCORE
        wanted = ZERO
        for place in range(begin, end):  # in 32 bits, as scores are, so that many are compared at once
            wanted = np.int32(wanted + (ONE if values[place] > least else ZERO))
        if not wanted and (len(rows) == 0 or size < len(hit_rows)):
            continue  # in row order, a page of equal score is worse than those that are listed
        for place in range(begin, end):
            score = values[place]
            if score == 0 or (size == len(hit_rows) and score < hit_scores[0]):
                continue
            row = rows[place] if len(rows) else first + place
            if size < len(hit_rows):
                _rise(hit_rows, hit_scores, size, row, score)
                size += 1
            elif _worse(hit_scores[0], hit_rows[0], score, row):
                _sink(hit_rows, hit_scores, size, row, score)
    for last in range(size - 1, 0, -1):
        row, score = hit_rows[last], hit_scores[last]
        hit_rows[last], hit_scores[last] = hit_rows[0], hit_scores[0]
        _sink(hit_rows, hit_scores, last, row, score)
    return size


@compiled
def _worse(score: np.float32, row: int, other_score: np.float32, other_row: int) -> bool:
    return bool(score < other_score or (score == other_score and row > other_row))


@compiled
def _rise(rows: Array, scores: Array, place: int, row: int, score: np.float32) -> None:
    """Add an entry at the end of the heap."""
    while place > 0:
        parent = (place - 1) // 2
        if not _worse(score, row, scores[parent], rows[parent]):
            break
        rows[place], scores[place] = rows[parent], scores[parent]
        place = parent
    rows[place], scores[place] = row, score


@compiled
def _sink(rows: Array, scores: Array, size: int, row: int, score: np.float32) -> None:
    """Put an entry in the place of the first of a heap."""
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _worse(scores[child + 1], rows[child + 1], scores[child], rows[child]):
            child += 1
        if not _worse(scores[child], rows[child], score, row):
            break
        rows[place], scores[place] = rows[child], scores[child]
        place = child
    rows[place], scores[place] = row, score
