"""MaxSim on a CPU with a matrix unit for bfloat16 (AMX): as exact as in float32, and as fast as memory is read.

Shape letters: T vectors of a query, G groups of 32 of them, P pairs of numbers, E numbers of a vector, V vectors of all
pages, D pages, C pages that are scored.
"""

from __future__ import annotations

import numpy as np

from drag_rl.retrieval.compiled import compiled_reordering
from drag_rl.retrieval.late.amx import (
    NUMBERS,
    ROWS,
    ldtilecfg,
    tdpbf16ps,
    tileloadd,
    tilerelease,
    tilestored,
    tilezero,
    usable,
)
from drag_rl.retrieval.late.embedder import Vectors
from drag_rl.retrieval.late.kernels import Array
from drag_rl.retrieval.late.quantisation import Halves, to_bfloat16
from drag_rl.retrieval.late.scorer import CpuScorer, FirstLook
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.ranked_pages import Rows, Scores

SIDE = 2 * ROWS
"""Vectors of a page, and of a query, that meet at a time: two tiles of each make four of products."""


def multiplies(store: Store) -> bool:
    """Whether this CPU has the unit, and the store's vectors fit its tiles."""
    return store.width % NUMBERS == 0 and usable()


class AmxScorer(CpuScorer):
    """Tiles are filled from the mapped store where it lies."""

    def __init__(self, store: Store, look: FirstLook = "hamming") -> None:
        """Raises ``ValueError`` unless :func:`multiplies` is true of the store."""
        if not multiplies(store):
            raise ValueError("this CPU has no matrix unit for these vectors")
        super().__init__(store, look)
        missing = max(0, SIDE - len(store.vectors))
        self._vectors = np.pad(store.vectors, ((0, missing), (0, 0))) if missing else store.vectors

    def maxsim(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`drag_rl.retrieval.late.scorer.Scorer`."""
        tiles, tokens = query_tiles(to_bfloat16(query_TE)), len(query_TE)
        return self._scores(maxsim_by_tiles, (tiles, tokens, self._vectors, self._store.starts), rows)


def query_tiles(query_TE: Halves) -> Array:
    """A query's vectors as tiles of pairs: row ``g * P + p`` has pair p of the 32 vectors of group g."""
    filled_TE = np.pad(query_TE, ((0, -len(query_TE) % SIDE), (0, 0)))
    pairs_GSP = np.ascontiguousarray(filled_TE).view(np.uint32).reshape(-1, SIDE, query_TE.shape[1] // 2)
    return np.ascontiguousarray(pairs_GSP.transpose(0, 2, 1)).reshape(-1, SIDE)


@compiled_reordering
def maxsim_by_tiles(
    tiles_GPxS: Array, tokens: int, vectors_VE: Array, starts_D1: Array, rows_C: Array, scores_C: Array
) -> None:
    """MaxSim of query vectors, as :func:`query_tiles` has them, with page vectors in bfloat16, at least 32 in all."""
    width = vectors_VE.shape[1]
    groups = 2 * len(tiles_GPxS) // width
    best_GS = np.empty((groups, SIDE), np.float32)
    sims = np.empty((SIDE, SIDE), np.float32)
    last = len(vectors_VE) - SIDE  # where the last vectors of the store are read with some before them
    ldtilecfg()
    for place in range(len(rows_C)):
        begin, end = starts_D1[rows_C[place]], starts_D1[rows_C[place] + 1]
        best_GS[:] = -np.inf
        for first in range(begin, end, SIDE):
            at = min(first, last)
            for group in range(groups):
                tilezero(0)
                tilezero(1)
                tilezero(2)
                tilezero(3)
                for e in range(0, width, NUMBERS):
                    pair = (group * width + e) // 2
                    tileloadd(4, vectors_VE, at, e)
                    tileloadd(5, vectors_VE, at + ROWS, e)
                    tileloadd(6, tiles_GPxS, pair, 0)
                    tileloadd(7, tiles_GPxS, pair, ROWS)
                    tdpbf16ps(0, 4, 6)
                    tdpbf16ps(1, 4, 7)
                    tdpbf16ps(2, 5, 6)
                    tdpbf16ps(3, 5, 7)
                tilestored(0, sims, 0, 0)
                tilestored(1, sims, 0, ROWS)
                tilestored(2, sims, ROWS, 0)
                tilestored(3, sims, ROWS, ROWS)
                for vector in range(SIDE):
                    if vector < first - at or vector >= end - at:  # of another page
                        sims[vector] = -np.inf
                for token in range(SIDE):
                    best = best_GS[group, token]
                    for vector in range(SIDE):
                        best = max(best, sims[vector, token])
                    best_GS[group, token] = best
        scores_C[place] = best_GS.ravel()[:tokens].sum()
    tilerelease()
