"""The pages that an approximate search found, in order. Shape letter: C candidate pages."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.integer]
Scores = npt.NDArray[np.float32]


class Ranked(Protocol):
    """Pages in order, best first; see :class:`drag_rl.retrieval.scored_pages.ScoredPages`, which is one."""

    def best(self, top_k: int, without: Collection[int] = ()) -> list[tuple[int, float]]:
        """The (row, score) of the best ``top_k`` pages, as if the rows of ``without`` were not there."""

    def rank(self, row: int, without: Collection[int] = ()) -> int | None:
        """The 1-based rank of a page, as if the rows of ``without`` were not there; None if it is not ranked."""


class RankedPages:
    """Some pages of a corpus by their scores, best first, equal scores in page order."""

    def __init__(self, rows_C: Rows, scores_C: Scores) -> None:
        """The pages, each once, in any order."""
        order = np.lexsort((rows_C, -scores_C))
        self._rows: list[int] = rows_C[order].tolist()
        self._scores: list[float] = scores_C[order].tolist()

    def __len__(self) -> int:
        return len(self._rows)

    def best(self, top_k: int, without: Collection[int] = ()) -> list[tuple[int, float]]:
        """See :class:`Ranked`."""
        found: list[tuple[int, float]] = []
        for row, score in zip(self._rows, self._scores, strict=True):
            if len(found) == top_k:
                break
            if row not in without:
                found.append((row, score))
        return found

    def rank(self, row: int, without: Collection[int] = ()) -> int | None:
        """See :class:`Ranked`."""
        place = self._places.get(row)
        if place is None or row in without:
            return None
        return 1 + place - sum(self._places.get(other, place) < place for other in without)

    @cached_property
    def _places(self) -> dict[int, int]:
        return {row: place for place, row in enumerate(self._rows)}
