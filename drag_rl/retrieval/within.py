"""What a query found, and the ranking that it gives: within a scope, without pages that are left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drag_rl.retrieval.base import Query, Ranking
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.ranked_pages import Ranked, RankedPages, Rows, Scores
from drag_rl.retrieval.scored_pages import ScoredPages
from drag_rl.types import Hit

NOT_RANKED = -np.inf
"""The score of a page that nothing finds: it has no vector."""

Within = Callable[[Rows | None, int], tuple[Ranked, int | None]]
"""What a query found: given the rows of a scope (None: all pages) and how many pages are needed, those left out
included, its pages and down to which rank they are ranked."""


def all_scored(scores_D: Scores) -> Within:
    """What a query finds that scores every page."""

    def within(scope: Rows | None, depth: int) -> tuple[Ranked, int | None]:
        own_D = scores_D
        if scope is not None:
            own_D = np.full_like(scores_D, NOT_RANKED)
            own_D[scope] = scores_D[scope]
        return ScoredPages(own_D, depth, floor=NOT_RANKED), None

    return within


def nothing_found(scope: Rows | None, depth: int) -> tuple[Ranked, int | None]:
    """What a query without a word finds."""
    del scope, depth
    return RankedPages(np.empty(0, np.int64), np.empty(0, np.float32)), None


def ranking_of(pages: PageTexts, query: Query, top_k: int, within: Within, *, spare: int) -> Ranking:
    """The answer to a query.

    Where not all pages are ranked, ``within`` has ``spare`` more than it says: a query can leave out so many without
    having fewer others ranked. Raises ``InputError`` for pages or a document that are not in the index.
    """
    without = frozenset(pages.rows(query.without))
    tracked = pages.rows(query.track)
    scope = None if query.scope is None else pages.rows_of(query.scope)
    ranked, exact_to = within(scope, top_k + len(without))
    if exact_to is not None:
        exact_to = max(1, exact_to - max(0, len(without) - spare))
    ranks = (ranked.rank(row, without) for row in tracked)
    best = ranked.best(top_k if exact_to is None else min(top_k, exact_to), without)
    return Ranking(
        hits=tuple(
            Hit(page_id=pages.page_ids[row], rank=rank, score=score)
            for rank, (row, score) in enumerate(best, start=1)
        ),
        tracked=tuple(
            rank if rank is not None and (exact_to is None or rank <= exact_to) else None for rank in ranks
        ),
        exact_to=exact_to,
    )
