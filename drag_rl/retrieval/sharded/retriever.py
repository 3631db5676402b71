"""The retriever over shards: hits and the exact rank of any page, as one index of all pages has them."""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from drag_rl.batches import Batches
from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sharded.cuts import Cuts
from drag_rl.retrieval.sharded.search import ShardedBm25, Shards
from drag_rl.retrieval.sparse.bm25 import Found, Wanted
from drag_rl.retrieval.sparse.by_rows import ranking_of, wanted_of

UNDER_WAY, BATCH_QUERIES = 2, 256
"""So many batches of an event loop, of at most so many queries, are asked at the same time."""


class ShardedRetriever:
    """BM25 over shards; a page that shares no term with the query, and so scores 0, is not ranked.

    Concurrent callers of an event loop are answered together. Threads and event loops may share it.
    """

    def __init__(self, pages: PageTexts, cuts: Cuts, shards: Shards, fingerprint: str) -> None:
        """``pages`` are those of all shards, ``cuts`` where the shards begin."""
        self.pages = pages
        self.fingerprint = fingerprint
        self._bm25 = ShardedBm25(pages, cuts, shards)
        self._batches: WeakKeyDictionary[AbstractEventLoop, Batches[list[Wanted], list[Found]]] = (
            WeakKeyDictionary()
        )

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`.

        Raises ``InputError`` with the cause if a shard is lost for good.
        """
        check_top_k(top_k)
        wanted = [wanted_of(query, top_k, self.pages) for query in queries]
        if not wanted:
            return []
        loop = get_running_loop()
        if loop not in self._batches:
            self._batches[loop] = Batches(self._answers, workers=UNDER_WAY, size=BATCH_QUERIES, weight=len)
        return [ranking_of(found, self.pages) for found in await self._batches[loop].ask(wanted)]

    async def _answers(self, asked: Sequence[list[Wanted]]) -> list[list[Found]]:
        """What is found of each caller's queries."""
        found = iter(await self._bm25.search([query for of_caller in asked for query in of_caller]))
        return [[next(found) for _ in of_caller] for of_caller in asked]
