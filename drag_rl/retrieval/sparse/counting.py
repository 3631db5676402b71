"""The loops that make postings from the terms of pages, compiled.

Shape letters: U units of scoring (pages, or the passages of pages), T terms of all units in order, W different terms, N
postings (a term and a unit that holds it), L lengths of units. An array that ends in 1 holds where each one's part
begins, and where the last one's ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.compiled import compiled

Array = npt.NDArray[Any]


@compiled
def count_postings(term_ids_T: Array, starts_U1: Array, words: int) -> tuple[Array, int]:
    """Where each term's postings begin (W + 1,), and how often the most frequent term of any unit stands there."""
    held_W1 = np.zeros(words + 1, dtype=np.int64)
    last_W = np.full(words, -1, dtype=np.int64)
    times_W = np.zeros(words, dtype=np.int64)
    most = 0
    for unit in range(len(starts_U1) - 1):
        for place in range(starts_U1[unit], starts_U1[unit + 1]):
            term = term_ids_T[place]
            if last_W[term] != unit:
                last_W[term] = unit
                times_W[term] = 0
                held_W1[term + 1] += 1
            times_W[term] += 1
            most = max(most, times_W[term])
    return np.cumsum(held_W1), most


@compiled
def fill_postings(
    term_ids_T: Array, starts_U1: Array, indptr_W1: Array, rows_N: Array, counts_N: Array
) -> None:
    """Write the units that hold each term, rising, and how often each holds it."""
    heads_W = indptr_W1[:-1].copy()
    for unit in range(len(starts_U1) - 1):
        for place in range(starts_U1[unit], starts_U1[unit + 1]):
            term = term_ids_T[place]
            head = heads_W[term]
            if head > indptr_W1[term] and rows_N[head - 1] == unit:
                counts_N[head - 1] += 1
            else:
                rows_N[head] = unit
                counts_N[head] = 1
                heads_W[term] = head + 1


@compiled
def fill_impacts(
    indptr_W1: Array,
    rows_N: Array,
    counts_N: Array,
    lengths_U: Array,
    norms_L: Array,
    factor: np.float32,
    idf_W: Array,
    impacts_N: Array,
) -> None:
    """Write what each posting adds to the score of its unit: ``idf * (factor * count / (norm of the length + count))``.

    It is rounded as bm25s rounds it. ``norms_L`` has the norm of each length.
    """
    for term in range(len(indptr_W1) - 1):
        weight = np.float64(idf_W[term])
        for place in range(indptr_W1[term], indptr_W1[term + 1]):
            count = np.float32(counts_N[place])
            norm = norms_L[lengths_U[rows_N[place]]]
            share = np.float64(count * factor) / (norm + np.float64(count))
            impacts_N[place] = np.float32(weight * share)
