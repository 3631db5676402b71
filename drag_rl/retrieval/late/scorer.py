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

from drag_rl.retrieval.late import kernels
from drag_rl.retrieval.late.embedder import Vectors
from drag_rl.retrieval.late.quantisation import bit_planes, sign_bits
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.ranked_pages import Rows, Scores

FirstLook = Literal["hamming", "asymmetric"]
MOST_THREADS = 8
VECTORS_A_THREAD = 1 << 14
"""Fewer are not worth another thread."""


class Scorer(Protocol):
    """Scores pages of a store. The score of a page is the same whichever others are asked for."""

    def maxsim(self, query_TE: Vectors, rows: Rows) -> Scores:
        """The sum of each query vector's best inner product, of the stored vectors; minus infinity without any (C,)."""

    def first_look(self, query_TE: Vectors, rows: Rows) -> Scores:
        """About the same, in about the same range, by the bits of the pages; only of a store that has them (C,)."""


class CpuScorer:
    """Compiled loops, which read the mapped store; the pages of a query are shared out among threads."""

    def __init__(self, store: Store, look: FirstLook = "hamming") -> None:
        self._store = store
        self._look = look

    def maxsim(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`Scorer`."""
        query_ET = np.ascontiguousarray(query_TE.T, dtype=np.float32)
        return self._scores(kernels.maxsim, (query_ET, self._store.vectors, self._store.starts), rows)

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
        ends = np.cumsum(self._store.starts[rows_C + 1] - self._store.starts[rows_C])
        vectors = int(ends[-1]) if len(ends) else 0
        parts = max(1, min(_usable_cpus(), vectors // VECTORS_A_THREAD))
        cuts = [0, *np.searchsorted(ends, [vectors * part // parts for part in range(1, parts)]), len(rows_C)]
        some = [slice(begin, end) for begin, end in pairwise(cuts)]

        def score(part: slice) -> None:
            kernel(*given, rows_C[part], scores_C[part])

        if parts == 1:
            score(some[0])
        else:
            list(_threads().map(score, some))
        return scores_C


@cache
def _usable_cpus() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_THREADS)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_usable_cpus(), "drag-maxsim")


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    _threads.cache_clear()


os.register_at_fork(after_in_child=_after_fork)
