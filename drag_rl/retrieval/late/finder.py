"""Finding pages for the vectors of a query: the best by bits, and among those the best by MaxSim."""

from __future__ import annotations

import numpy as np

from drag_rl.retrieval.late.embedder import Vectors
from drag_rl.retrieval.late.scorer import Scorer
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.ranked_pages import Ranked, RankedPages, Rows
from drag_rl.retrieval.scored_pages import top_rows
from drag_rl.retrieval.within import NOT_RANKED, Within, all_scored

SPARE_PAGES = 32
"""Pages that a query may leave out without having fewer others ranked."""
JUST_BELOW = 1e-3
"""How much less than the worst page that is rescored the best of the others scores."""


class LateFinder:
    """Ranks the pages of a store. Pages without a vector are not ranked."""

    def __init__(self, store: Store, scorer: Scorer, rescored: int | None) -> None:
        """``rescored`` pages of a query, and some to spare, are ranked by MaxSim; None: all of them."""
        self._scorer = scorer
        self._rescored = rescored
        self._all = np.arange(len(store))

    def found(self, query_TE: Vectors) -> Within:
        """What the vectors of a query find; nothing is scored twice."""
        known: dict[bytes | None, Within] = {}

        def within(scope: Rows | None, depth: int) -> tuple[Ranked, int | None]:
            key = None if scope is None else scope.tobytes()
            if key not in known:
                known[key] = self._within(query_TE, scope)
            return known[key](None, depth)

        return within

    def scores(self, query_TE: Vectors, rows: Rows) -> list[float]:
        """The score of each of some pages: by MaxSim those that are best by bits, and below them the others.

        A page without a vector scores less than any that has one.
        """
        best, whole = self._candidates(query_TE, np.unique(rows))
        own = dict(zip(best.tolist(), self._scorer.maxsim(query_TE, best).tolist(), strict=True))
        if not whole:
            others = np.setdiff1d(rows, best)
            looks = self._scorer.first_look(query_TE, others)
            top = looks.max() if np.isfinite(looks).any() else 0.0
            below = min(own.values()) - JUST_BELOW + looks - top
            own |= dict(zip(others.tolist(), below.tolist(), strict=True))
        nothing = -4.0 * len(query_TE) - 1.0
        return [max(own[row], nothing) for row in rows.tolist()]

    def _within(self, query_TE: Vectors, scope: Rows | None) -> Within:
        """The pages of a scope, ranked."""
        rows, whole = self._candidates(query_TE, self._all if scope is None else scope)
        scores = self._scorer.maxsim(query_TE, rows)
        if len(rows) == len(self._all):
            return all_scored(scores)
        seen = scores > NOT_RANKED
        ranked, exact_to = RankedPages(rows[seen], scores[seen]), None if whole else self._rescored
        return lambda _scope, _depth: (ranked, exact_to)

    def _candidates(self, query_TE: Vectors, rows: Rows) -> tuple[Rows, bool]:
        """The pages that are to be rescored, and whether they are all of ``rows`` that have a vector."""
        if self._rescored is None or len(rows) <= self._rescored + SPARE_PAGES:
            return rows, True
        looks = self._scorer.first_look(query_TE, rows)
        best = rows[top_rows(looks, self._rescored + SPARE_PAGES, NOT_RANKED)]
        return best, len(best) < self._rescored + SPARE_PAGES
