"""The BM25 back end: hits and the exact rank of any page, from one memory-mapped folder."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import cache

import numpy as np

from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.scored_pages import ScoredPages, Scores
from drag_rl.retrieval.sparse.bm25 import Bm25
from drag_rl.types import Hit


class Bm25Retriever:
    """BM25 over the terms of pages; a page that shares no term with the query, and so scores 0, is not ranked.

    Reads only: any number of threads and event loops may share it.
    """

    def __init__(self, bm25: Bm25, pages: PageTexts, fingerprint: str) -> None:
        self.pages = pages
        self.fingerprint = fingerprint
        self._bm25 = bm25

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`; queries of equal text share one scoring."""
        return await asyncio.to_thread(self.search_now, queries, top_k)

    def search_now(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """The same as :meth:`search`, in the calling thread."""
        check_top_k(top_k)
        places: dict[str, list[int]] = defaultdict(list)
        for place, query in enumerate(queries):
            places[query.text].append(place)
        found: dict[int, Ranking] = {}
        for text, own in places.items():
            rankings = self._rankings(text, [queries[place] for place in own], top_k)
            found |= zip(own, rankings, strict=True)
        return [found[place] for place in range(len(queries))]

    def _rankings(self, text: str, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """The rankings of queries of one text, which is scored once."""
        scores = self._scores(text)
        depth = top_k + max(len(query.without) for query in queries)
        scored = cache(lambda scope: ScoredPages(self._within(scores, scope), depth))
        return [self._ranking(query, top_k, scored(query.scope)) for query in queries]

    def _scores(self, text: str) -> Scores:
        """The score of every page, shape (D,), 0 where no term matches."""
        vocabulary = self._bm25.vocabulary
        term_ids = [vocabulary[term] for term in self.pages.query_terms(text) if term in vocabulary]
        return self._bm25.scores(term_ids) if term_ids else np.zeros(len(self.pages), dtype=np.float32)

    def _within(self, scores: Scores, scope: str | None) -> Scores:
        if scope is None:
            return scores
        rows = self.pages.rows_of(scope)
        inside = np.zeros_like(scores)
        inside[rows] = scores[rows]
        return inside

    def _ranking(self, query: Query, top_k: int, scored: ScoredPages) -> Ranking:
        without = frozenset(self.pages.rows(query.without))
        best = scored.best(top_k, without)
        return Ranking(
            hits=tuple(
                Hit(page_id=self.pages.page_ids[row], rank=rank, score=score)
                for rank, (row, score) in enumerate(best, start=1)
            ),
            tracked=tuple(scored.rank(row, without) for row in self.pages.rows(query.track)),
        )
