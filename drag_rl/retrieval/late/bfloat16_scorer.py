"""MaxSim on a CPU that multiplies bfloat16 by itself (AVX512-BF16, AMX): twice as quick as in float32, and as exact.

Shape letters: T vectors of a query, E numbers of a vector, V vectors of a chunk of pages, C pages that are scored,
S places of a row of similarities.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from threading import local

import numpy as np
import torch
from torch import Tensor

from drag_rl.retrieval.late import kernels
from drag_rl.retrieval.late.embedder import Vectors
from drag_rl.retrieval.late.quantisation import from_bfloat16, to_bfloat16
from drag_rl.retrieval.late.scorer import CpuScorer, FirstLook, in_threads
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.ranked_pages import Rows, Scores

VECTORS_AT_ONCE = 1 << 15
"""Of a chunk of pages, unless one has more: 8 MiB of 128 numbers."""
PLACES = 16
"""A row of similarities has a multiple of so many places."""


def multiplies_bfloat16() -> bool:
    """Whether this CPU does so, as far as torch knows; where it must imitate it, float32 is quicker."""
    asked = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(supported() for supported in asked if supported)


class Bfloat16Scorer(CpuScorer):
    """Chunk by chunk, torch multiplies a query's vectors with those of pages, and rounds the products to bfloat16.

    Rounding keeps order, so that a compiled loop finds the best vectors by them and multiplies these few anew.
    """

    def __init__(self, store: Store, look: FirstLook = "hamming") -> None:
        super().__init__(store, look)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the mapped store cannot be written, and nobody does
            self._vectors = torch.from_numpy(store.vectors.view(np.int16)).view(torch.bfloat16)
        self._kept = local()

    def maxsim(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`drag_rl.retrieval.late.scorer.Scorer`."""
        halves_TE = to_bfloat16(query_TE)
        filled_SE = np.pad(halves_TE, ((0, -len(query_TE) % PLACES), (0, 0)))
        query_ES = torch.from_numpy(filled_SE.view(np.int16)).view(torch.bfloat16).T.contiguous()
        rows_C = np.ascontiguousarray(rows, np.int64)
        counts_C = self._store.starts[rows_C + 1] - self._store.starts[rows_C]
        scores_C = np.empty(len(rows_C), np.float32)
        chunk_C = np.cumsum(counts_C) // VECTORS_AT_ONCE
        cuts = [0, *(np.flatnonzero(np.diff(chunk_C)) + 1).tolist(), len(rows_C)]
        for begin, end in pairwise(cuts):
            some = slice(begin, end)
            self._score(from_bfloat16(halves_TE), query_ES, rows_C[some], counts_C[some], scores_C[some])
        return scores_C

    def _score(self, query_TE: Vectors, query_ES: Tensor, rows: Rows, counts: Rows, scores: Scores) -> None:
        """The scores of a chunk of pages."""
        ends = np.cumsum(counts)
        if not len(ends) or not ends[-1]:
            scores[:] = -np.inf
            return
        vectors, sims = self._together(rows, counts, query_ES.shape[1])
        with torch.inference_mode():
            torch.mm(vectors, query_ES, out=sims)
        products, halves = sims.view(torch.int16).numpy(), vectors.view(torch.int16).numpy().view(np.uint16)

        def best(some: slice) -> None:
            kernels.maxsim_of_rounded(
                products, query_TE, halves, ends[some] - counts[some], ends[some], scores[some]
            )

        in_threads(best, counts)

    def _together(self, rows: Rows, counts: Rows, places: int) -> tuple[Tensor, Tensor]:
        """The vectors of pages, one after another, and room for their similarities; both are this thread's."""
        begins, ends = self._store.starts[rows], np.cumsum(counts)
        size = int(ends[-1])
        if getattr(self._kept, "sims", None) is None or self._kept.sims.numel() < size * places:
            self._kept.sims = torch.empty(max(size, VECTORS_AT_ONCE) * places, dtype=torch.bfloat16)
        sims = self._kept.sims[: size * places].view(size, places)
        if begins[-1] + counts[-1] - begins[0] == size and (np.diff(rows) > 0).all():
            return self._vectors[begins[0] : begins[0] + size], sims  # they lie so already
        if getattr(self._kept, "vectors", None) is None or len(self._kept.vectors) < size:
            self._kept.vectors = torch.empty(
                (max(size, VECTORS_AT_ONCE), self._store.width), dtype=torch.bfloat16
            )
        vectors = self._kept.vectors[:size]
        halves = vectors.view(torch.int16).numpy().view(np.uint16)

        def gather(some: slice) -> None:
            each = zip(begins[some].tolist(), ends[some].tolist(), counts[some].tolist(), strict=True)
            for begin, end, count in each:
                halves[end - count : end] = self._store.vectors[begin : begin + count]

        in_threads(gather, counts)
        return vectors, sims
