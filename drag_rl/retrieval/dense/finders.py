"""Ranking pages for the vector of a query: over the whole corpus, or among the candidates of an approximate search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.dense.embedder import Vectors
from drag_rl.retrieval.dense.passage_scores import QUERIES_AT_ONCE, PassageScores, best_passages
from drag_rl.retrieval.dense.passages import Passages
from drag_rl.retrieval.ranked_pages import Ranked, Rows, Scores
from drag_rl.retrieval.within import Within, all_scored

SPARE_PAGES = 128
"""Pages that a query may leave out without having fewer than ``exact_to`` others ranked."""

Nearest = Callable[[Vectors, int], tuple[Scores, npt.NDArray[np.int64]]]
"""Scores and numbers of the nearest vectors of some queries, shapes (Q, K), -1 where there are no more."""


class Finder(Protocol):
    """Finds the pages that are nearest to queries."""

    def found(self, queries_QE: Vectors) -> list[Within]:
        """What each of Q queries finds."""


class WholeCorpus:
    """Scores every page, so that every rank is exact."""

    def __init__(self, scores: PassageScores) -> None:
        self._scores = scores

    def found(self, queries_QE: Vectors) -> list[Within]:
        """See :class:`Finder`."""
        found: list[Within] = []
        for begin in range(0, len(queries_QE), QUERIES_AT_ONCE):
            scores_QD = self._scores.of_all(queries_QE[begin : begin + QUERIES_AT_ONCE])
            found += map(all_scored, scores_QD)
        return found


class Candidates:
    """Ranks the pages of the nearest vectors, of which an approximate search may miss some.

    So many vectors are asked for that their pages are at least ``exact_to`` and some to spare, whichever they are.
    """

    def __init__(
        self, nearest: Nearest, passages: Passages, exact_to: int, vectors: int, exact: PassageScores | None
    ) -> None:
        """With ``exact``, candidates are ranked by their stored vectors, and so are all pages of a scope."""
        self._nearest = nearest
        self._passages = passages
        self._exact = exact
        self._exact_to = exact_to
        self._order = np.argsort(passages.vectors, kind="stable")
        self._starts = np.searchsorted(passages.vectors[self._order], np.arange(vectors + 1))
        self.depth = min(vectors, _vectors_of(passages, exact_to + SPARE_PAGES))
        """Vectors that are asked for."""

    def found(self, queries_QE: Vectors) -> list[Within]:
        """See :class:`Finder`."""
        if not len(queries_QE):
            return []
        scores_QK, vectors_QK = self._nearest(queries_QE, self.depth)
        each = zip(queries_QE, scores_QK, vectors_QK, strict=True)
        return [
            self._within(query_E, scores[known >= 0], known[known >= 0]) for query_E, scores, known in each
        ]

    def _within(self, query_E: Vectors, scores: Scores, vectors: npt.NDArray[np.int64]) -> Within:
        if self._exact is not None:
            scores = self._exact.of_vectors(query_E, vectors)
        counts = self._starts[vectors + 1] - self._starts[vectors]
        places = np.repeat(self._starts[vectors] - np.cumsum(counts) + counts, counts) + np.arange(
            counts.sum()
        )
        pages = self._passages.pages[self._order[places]]
        of_pages = np.repeat(scores, counts)
        every = best_passages(pages, of_pages)

        def within(scope: Rows | None, depth: int) -> tuple[Ranked, int | None]:
            del depth  # all candidates are there
            if scope is None:
                return every, self._exact_to
            if self._exact is not None:
                return self._exact.within(query_E, scope), None
            inside = np.isin(pages, scope)
            ranked = best_passages(pages[inside], of_pages[inside])
            return ranked, min(self._exact_to, max(1, len(ranked)))

        return within


def _vectors_of(passages: Passages, pages: int) -> int:
    """How many vectors belong to at least ``pages`` pages, whichever vectors they are."""
    counts = np.sort(np.unique(passages.pages, return_counts=True)[1])[::-1]
    return int(counts[: pages - 1].sum()) + 1
