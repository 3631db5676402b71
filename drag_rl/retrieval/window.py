"""The part of a page that has the most telling of a query's words, found by a compiled loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.compiled import compiled


@compiled
def best_window(
    term_ids_T: npt.NDArray[Any],
    starts_T: npt.NDArray[Any],
    wanted_W: npt.NDArray[Any],
    weights_W: npt.NDArray[Any],
    width: int,
) -> tuple[int, int]:
    """The run of matches, within ``width`` characters, whose different terms weigh most; (-1, -1) without a match.

    Ties go to the run with more matches, then to the earlier one. One pass over the page.

    Args:
        term_ids_T: The terms of a page, in order.
        starts_T: The character at which each of them begins, rising.
        wanted_W: The terms of the query, all different, rising.
        weights_W: How much each of them weighs, in steps of a millionth.
        width: The most characters from the beginning of the first match to that of the last.

    Returns:
        The characters at which the first and the last match of the run begin.
    """
    held_W = np.zeros(len(wanted_W), dtype=np.int64)
    matches = np.empty((len(term_ids_T), 2), dtype=np.int64)
    count = first = 0
    best_first = best_last = -1
    weight, best_key = 0.0, (-1, -1)
    for place in range(len(term_ids_T)):
        term = term_ids_T[place]
        low, high = 0, len(wanted_W)
        while low < high:
            middle = (low + high) // 2
            if wanted_W[middle] < term:
                low = middle + 1
            else:
                high = middle
        if low == len(wanted_W) or wanted_W[low] != term:
            continue
        start = starts_T[place]
        matches[count, 0], matches[count, 1] = start, low
        count += 1
        if held_W[low] == 0:
            weight += weights_W[low]
        held_W[low] += 1
        while start - matches[first, 0] > width:
            left = matches[first, 1]
            held_W[left] -= 1
            if held_W[left] == 0:
                weight -= weights_W[left]
            first += 1
        key = (round(weight * 1e6), count - first)
        if key > best_key:
            best_key = key
            best_first, best_last = matches[first, 0], start
    return best_first, best_last
