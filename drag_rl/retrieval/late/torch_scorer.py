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
from drag_rl.retrieval.page_terms import ranges
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
        return self._scores(from_bfloat16(to_bfloat16(query_TE)), rows, self._vectors)

    def first_look(self, query_TE: Vectors, rows: Rows) -> Scores:
        """See :class:`drag_rl.retrieval.late.scorer.Scorer`; asymmetric without any rounding of the query."""
        width = self._store.width
        if self._look == "hamming":
            signs_TE = np.where(np.signbit(query_TE), -1.0, 1.0).astype(np.float32)
            return self._scores(signs_TE / np.float32(width), rows, self._signs)
        return self._scores(query_TE / np.float32(math.sqrt(width)), rows, self._signs)

    def _scores(self, query_TE: Vectors, rows: Rows, read: Callable[[Rows], Tensor]) -> Scores:
        """MaxSim, chunk by chunk; ``read`` gives some vectors of the store as float32, shape (V, E)."""
        asked_TE = torch.from_numpy(np.ascontiguousarray(query_TE, np.float32)).to(self._device)
        scores_C = np.full(len(rows), -np.inf, np.float32)
        for places in self._chunks(rows):
            begins = self._store.starts[rows[places]]
            counts = self._store.starts[rows[places] + 1] - begins
            of_page = torch.from_numpy(np.repeat(np.arange(len(places)), counts)).to(self._device)
            with torch.inference_mode():
                sims_TV = asked_TE @ read(ranges(begins, counts)).T
                best_TC = torch.full((len(asked_TE), len(places)), -math.inf, device=self._device)
                best_TC.scatter_reduce_(1, of_page.expand(len(asked_TE), -1), sims_TV, "amax")
                scores_C[places] = best_TC.sum(dim=0).cpu().numpy()
        return scores_C

    def _chunks(self, rows: Rows) -> Iterator[Rows]:
        """Places in ``rows``, so many at a time that their vectors are about ``VECTORS_AT_ONCE``."""
        chunk = np.cumsum(self._store.starts[rows + 1] - self._store.starts[rows]) // VECTORS_AT_ONCE
        if len(rows):
            yield from np.split(np.arange(len(rows)), np.flatnonzero(np.diff(chunk)) + 1)

    def _vectors(self, where: Rows) -> Tensor:
        halves = torch.from_numpy(self._store.vectors[where].view(np.int16)).to(self._device)
        return halves.view(torch.bfloat16).float()

    def _signs(self, where: Rows) -> Tensor:
        """The bits of vectors as 1 and -1."""
        if self._bits is None:
            raise ValueError("the store has no bits")
        bytes_VB = self._bits[torch.from_numpy(where).to(self._device)]
        ones_VE = (bytes_VB[:, :, None] >> self._shifts & 1).flatten(1)[:, : self._store.width]
        return ones_VE.float() * 2 - 1
