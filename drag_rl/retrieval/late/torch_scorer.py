"""The same scores by torch, for a GPU, whose memory holds the bits of all pages; vectors are sent as they are needed.

Checked against the compiled loops on torch's CPU; nobody has run it on a GPU yet.

Shape letters: T vectors of a query, E numbers of a vector, V vectors of a chunk of pages, C pages that are scored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import Vectors
from drag_rl.retrieval.late.quantisation import from_bfloat16, to_bfloat16
from drag_rl.retrieval.late.scorer import FirstLook
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.ranked_pages import Rows, Scores

VECTORS_AT_ONCE = 1 << 18
"""Of a chunk of pages, about: 64 MiB in bfloat16 of 128 numbers."""


class TorchScorer:
    """See :class:`drag_rl.retrieval.late.scorer.Scorer`."""

    def __init__(self, store: Store, device: str, look: FirstLook = "hamming") -> None:
        """Sends the bits to the device. Raises ``InputError`` for a device that cannot take them."""
        self._store = store
        self._look = look
        try:
            self._device = torch.device(device)
            bits = None if store.bits is None else torch.from_numpy(np.array(store.bits).view(np.uint8))
            self._bits = None if bits is None else bits.to(self._device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"--search-device {device}: {str(error).splitlines()[0]}") from error
        self._shifts = torch.arange(8, dtype=torch.uint8, device=self._device)

    def maxsim(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`drag_rl.retrieval.late.scorer.Scorer`; products in float32."""
        return self._scores(self._sent(from_bfloat16(to_bfloat16(query_TE))), rows, self._vectors)

    def first_look(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`drag_rl.retrieval.late.scorer.Scorer`; asymmetric without any rounding of the query."""
        width = self._store.width
        if self._look == "hamming":
            query_TE = np.where(np.signbit(query_TE), np.float32(-1), np.float32(1)) / np.float32(width)
        else:
            query_TE = query_TE / np.float32(math.sqrt(width))
        return self._scores(self._sent(query_TE), rows, self._signs)

    def _sent(self, query_TE: Vectors) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(query_TE, np.float32)).to(self._device)

    @torch.inference_mode()
    def _scores(self, query_TE: Tensor, rows: Rows, read: Callable[[Rows, Rows], Tensor]) -> Scores:
        """MaxSim, chunk by chunk; ``read`` gives the vectors of begins and ends as float32, shape (V, E)."""
        scores_C = np.full(len(rows), -np.inf, np.float32)
        for places in self._chunks(rows):
            begins = self._store.starts[rows[places]]
            counts = self._store.starts[rows[places] + 1] - begins
            of_page = np.repeat(np.arange(len(places)), counts)
            where = (
                np.arange(len(of_page))
                - np.repeat(np.cumsum(counts) - counts, counts)
                + np.repeat(begins, counts)
            )
            sims_TV = query_TE @ read(where, counts).T
            best_TC = torch.full((len(query_TE), len(places)), -math.inf, device=self._device)
            index_TV = torch.from_numpy(of_page).to(self._device).expand(len(query_TE), -1)
            best_TC.scatter_reduce_(1, index_TV, sims_TV, "amax")
            scores_C[places] = best_TC.sum(dim=0).cpu().numpy()
        return scores_C

    def _chunks(self, rows: Rows) -> Iterator[Rows]:
        """Places in ``rows``, so many at a time that their vectors are about ``VECTORS_AT_ONCE``."""
        ends = np.cumsum(self._store.starts[rows + 1] - self._store.starts[rows])
        cuts = (
            np.unique(np.searchsorted(ends, np.arange(VECTORS_AT_ONCE, ends[-1], VECTORS_AT_ONCE)))
            if len(ends)
            else []
        )
        yield from (places for places in np.split(np.arange(len(rows)), cuts) if len(places))

    def _vectors(self, where: Rows, counts: Rows) -> Tensor:
        del counts
        halves = torch.from_numpy(self._store.vectors[where].view(np.int16)).to(self._device)
        return halves.view(torch.bfloat16).float()

    def _signs(self, where: Rows, counts: Rows) -> Tensor:
        """The bits of vectors as 1 and -1."""
        del counts
        if self._bits is None:
            raise ValueError("the store has no bits")
        bytes_VB = self._bits[torch.from_numpy(where).to(self._device)]
        ones_VE = (bytes_VB[:, :, None] >> self._shifts & 1).flatten(1)[:, : self._store.width]
        return ones_VE.float() * 2 - 1
