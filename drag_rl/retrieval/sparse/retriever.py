"""The BM25 back end: hits and the exact rank of any page, from one memory-mapped folder."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.sparse.batches import Batches
from drag_rl.retrieval.sparse.bm25 import Bm25, Wanted
from drag_rl.retrieval.sparse.by_rows import ranking_of, wanted_of
from drag_rl.retrieval.sparse.recent import Recent

QUICK_CHARS, QUICK_POSTINGS, QUICK_HITS = 1000, 20_000, 100
"""A search of so little text, through so few postings, takes no longer than handing it to a thread, a tenth of a
millisecond: it is done at once."""
SHORT_POSTINGS = 300_000
"""One that goes through so few takes about a millisecond: a lone caller's is done without a thread."""
RANKINGS_KEPT, HITS_KEPT = 4096, 100
"""So many rankings, of at most so many hits, are kept for who asks the same again."""


class Bm25Retriever:
    """BM25 over the terms of pages; a page that shares no term with the query, and so scores 0, is not ranked.

    Reads only: any number of threads and event loops may share it.
    """

    def __init__(self, bm25: Bm25, fingerprint: str) -> None:
        self.pages = bm25.pages
        self.fingerprint = fingerprint
        self._bm25 = bm25
        self._batches = Batches(self._answers, lambda asked: self._is_quick(*asked, SHORT_POSTINGS))
        self._recent: Recent[tuple[Query, int], Ranking] = Recent(RANKINGS_KEPT)

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`; concurrent callers are answered together."""
        check_top_k(top_k)
        kept = [self._recent.get((query, top_k)) for query in queries]
        new = [query for query, ranking in zip(queries, kept, strict=True) if ranking is None]
        if not new:
            return [ranking for ranking in kept if ranking is not None]
        asked = new, top_k
        answer = self._answers([asked])[0] if self._is_quick(*asked) else await self._batches.ask(asked)
        if isinstance(answer, Exception):
            raise answer
        found = iter(answer)
        return [next(found) if ranking is None else ranking for ranking in kept]

    def search_now(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """The same as :meth:`search`, in the calling thread, without a look at what was found before."""
        check_top_k(top_k)
        found = self._bm25.search([wanted_of(query, top_k, self.pages) for query in queries])
        return [ranking_of(of_query, self.pages) for of_query in found]

    def _answers(self, asked: Sequence[tuple[Sequence[Query], int]]) -> list[list[Ranking] | Exception]:
        """The rankings of each caller's queries, or what is wrong with them."""
        answers: list[list[Ranking] | Exception] = []
        wanted: list[Wanted] = []
        for queries, top_k in asked:
            try:
                wanted += [wanted_of(query, top_k, self.pages) for query in queries]
                answers.append([])
            except Exception as error:  # it is raised where the query was asked
                answers.append(error)
        found = iter(self._bm25.search(wanted))
        for place, (queries, top_k) in enumerate(asked):
            if isinstance(answers[place], Exception):
                continue
            rankings = [ranking_of(next(found), self.pages) for _ in queries]
            if top_k <= HITS_KEPT:
                for query, ranking in zip(queries, rankings, strict=True):
                    self._recent.put((query, top_k), ranking)
            answers[place] = rankings
        return answers

    def _is_quick(self, queries: Sequence[Query], top_k: int, postings: int = QUICK_POSTINGS) -> bool:
        return (
            sum(len(query.text) for query in queries) <= QUICK_CHARS
            and len(queries) * top_k <= QUICK_HITS
            and sum(self._bm25.postings(query.text) for query in queries) <= postings
        )
