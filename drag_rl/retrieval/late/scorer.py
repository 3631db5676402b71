"""Scores of pages by their stored vectors: a first look by bits, and MaxSim.

Shape letters: T vectors of a query, E numbers of a vector, C pages that are scored.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np

from drag_rl.cpus import usable_cpus
from drag_rl.retrieval.late import kernels
from drag_rl.retrieval.late.embedder import Vectors
from drag_rl.retrieval.late.quantisation import bit_planes, from_bfloat16, sign_bits, to_bfloat16
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.ranked_pages import Rows, Scores

FirstLook = Literal["hamming", "asymmetric"]
MOST_THREADS = 8
VECTORS_A_THREAD = 1 << 13
"""Fewer are not worth another thread."""


class Scorer(Protocol):
    """Scores pages of a store. The score of a page is the same whichever others are asked for."""

    def maxsim(self, query_TE: Vectors, rows: Rows) -> Scores:
        """The sum of each query vector's best inner product with a page's stored ones, minus infinity without any (C,).

        Query vectors are rounded to bfloat16, as the stored ones are; products are added up in float32.
        """

    def first_look(self, query_TE: Vectors, rows: Rows) -> Scores:
        """About the same, in about the same range, by the bits of the pages; only of a store that has them (C,)."""


class CpuScorer:
    """Compiled loops, which read the mapped store; the pages of a query are shared out among threads."""

    def __init__(self, store: Store, look: FirstLook = "hamming") -> None:
        self._store = store
        self._look = look

    def maxsim(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`Scorer`."""
        rounded_TE = from_bfloat16(to_bfloat16(query_TE))
        filled_TE = np.pad(rounded_TE, ((0, 0), (0, -self._store.width % kernels.STEP)))
        return self._scores(kernels.maxsim, (filled_TE, self._store.vectors, self._store.starts), rows)

    def first_look(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`Scorer`."""
        store, width = self._store, self._store.width
        if store.bits is None:
            raise ValueError("the store has no bits")
        if self._look == "hamming":
            looked = (sign_bits(query_TE), store.bits, store.starts, width)
            return self._scores(kernels.hamming, looked, rows)
        planes = bit_planes(query_TE)
        steps = planes.steps.astype(np.float64) / math.sqrt(width)
        return self._scores(
            kernels.asymmetric, (planes.bits, steps, planes.sums, store.bits, store.starts), rows
        )

    def _scores(self, kernel: Callable[..., object], given: tuple[Any, ...], rows: Rows) -> Scores:
        rows_C = np.ascontiguousarray(rows, np.int64)
        scores_C = np.empty(len(rows_C), np.float32)

        def score(some: slice) -> None:
            kernel(*given, rows_C[some], scores_C[some])

        in_threads(score, self._store.starts[rows_C + 1] - self._store.starts[rows_C])
        return scores_C


def in_threads(work: Callable[[slice], None], sizes_C: Rows) -> None:
    """Do the work of C pages of so many vectors, in equal parts, one for each CPU where there are many."""
    ends = np.cumsum(sizes_C)
    vectors = int(ends[-1]) if len(ends) else 0
    parts = max(1, min(_scoring_threads(), vectors // VECTORS_A_THREAD))
    if parts == 1:
        work(slice(0, len(ends)))
        return
    cuts = [0, *np.searchsorted(ends, [vectors * part // parts for part in range(1, parts)]), len(ends)]
    list(_threads().map(work, [slice(begin, end) for begin, end in pairwise(cuts)]))


@cache
def _scoring_threads() -> int:
    return min(usable_cpus(), MOST_THREADS)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_scoring_threads(), "drag-maxsim")


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    _threads.cache_clear()


os.register_at_fork(after_in_child=_after_fork)
