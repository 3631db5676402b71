"""BM25 over several shards: what each is asked, and how its answers become those of one index of all pages.

Pages that score the same rank in page order, in a shard as in the whole, so the rank of a page is 1 plus, over all
shards, the pages that score more or as much and come before it. That needs its score first: the shard that has it is
asked for that, within the page's document, which costs next to nothing. Then all shards are asked for their best pages
and for what is above.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sharded.cuts import Cuts
from drag_rl.retrieval.sparse.bm25 import Bm25, Found, Wanted

Asked = list[tuple[int, Wanted]]
"""What one shard is asked: the places of queries in their batch, and what is wanted of the shard, by its own rows."""


class Shards(Protocol):
    """The shards of a corpus, wherever they are."""

    async def find(self, shard: int, wanted: Sequence[Wanted]) -> Sequence[Found]:
        """What is wanted of one shard, as :meth:`drag_rl.retrieval.sparse.bm25.Bm25.search`."""


class ShardsHere:
    """Shards in this process, searched one after another in threads."""

    def __init__(self, shards: Sequence[Bm25]) -> None:
        self._shards = shards

    async def find(self, shard: int, wanted: Sequence[Wanted]) -> Sequence[Found]:
        """See :class:`Shards`."""
        return await asyncio.to_thread(self._shards[shard].search, wanted)


class ShardedBm25:
    """BM25 over shards with the statistics of them all."""

    def __init__(self, pages: PageTexts, cuts: Cuts, shards: Shards) -> None:
        """``pages`` are those of all shards, ``cuts`` where the shards begin."""
        self._pages, self._cuts, self._shards = pages, cuts, shards

    async def search(self, wanted: Sequence[Wanted]) -> list[Found]:
        """What :meth:`drag_rl.retrieval.sparse.bm25.Bm25.search` finds in one index of all pages, to the last bit.

        It asks each shard twice at most. Marks (``Wanted.above``) are not supported.
        """
        track_scores = await self._track_scores(wanted)
        answers: list[list[Found]] = [[] for _ in wanted]
        shards: list[list[int]] = [[] for _ in wanted]
        questions = [self._question(shard, wanted, track_scores) for shard in range(len(self._cuts))]
        for shard, places, found in await self._ask(questions):
            for place, of_shard in zip(places, found, strict=True):
                shards[place].append(shard)
                answers[place].append(of_shard)
        return [
            self._merged(query, scores, where, found)
            for query, scores, where, found in zip(wanted, track_scores, shards, answers, strict=True)
        ]

    async def _track_scores(self, wanted: Sequence[Wanted]) -> list[list[float]]:
        """The score of each tracked page; 0 for one that is not ranked."""
        questions: list[Asked] = [[] for _ in range(len(self._cuts))]
        marks: list[list[int]] = [[] for _ in questions]
        scores = [[0.0] * len(query.track) for query in wanted]
        for place, query in enumerate(wanted):
            for mark, row in enumerate(query.track):
                document = self._pages.page_ids[row].rpartition("#")[0]
                if row in query.without or query.scope not in (None, document):
                    continue
                shard = self._cuts.shard_of(row)
                own = self._cuts.local(shard, row)
                questions[shard].append(
                    (place, Wanted(text=query.text, top_k=0, scope=document, track=(own,)))
                )
                marks[shard].append(mark)
        for shard, places, found in await self._ask(questions):
            for place, mark, of_page in zip(places, marks[shard], found, strict=True):
                scores[place][mark] = of_page.track_scores[0]
        return scores

    def _question(
        self, shard: int, wanted: Sequence[Wanted], track_scores: Sequence[Sequence[float]]
    ) -> Asked:
        """What is asked of a shard once the tracked pages' scores are known."""
        begin, end = self._cuts.starts[shard : shard + 2]
        asked: Asked = []
        for place, (query, scores) in enumerate(zip(wanted, track_scores, strict=True)):
            if query.scope is not None and not _any_between(self._pages.rows_of(query.scope), begin, end):
                continue
            of_shard = Wanted(
                text=query.text,
                top_k=query.top_k,
                without=[row - begin for row in query.without if begin <= row < end],
                scope=query.scope,
                above=[
                    (score, self._cuts.local(shard, row))
                    for row, score in zip(query.track, scores, strict=True)
                    if score > 0
                ],
            )
            if of_shard.top_k or of_shard.above:
                asked.append((place, of_shard))
        return asked

    async def _ask(self, questions: Sequence[Asked]) -> list[tuple[int, list[int], Sequence[Found]]]:
        """Ask the shards that there is a question for, all at once: the shard, the places, and what it found."""
        asked = [(shard, question) for shard, question in enumerate(questions) if question]
        found = await asyncio.gather(
            *(self._shards.find(shard, [query for _, query in question]) for shard, question in asked)
        )
        return [
            (shard, [place for place, _ in question], of_shard)
            for (shard, question), of_shard in zip(asked, found, strict=True)
        ]

    def _merged(
        self, query: Wanted, scores: Sequence[float], shards: Sequence[int], answers: Sequence[Found]
    ) -> Found:
        """One query's answers put together."""
        hits = islice(
            merge(*(self._hits(shard, found) for shard, found in zip(shards, answers, strict=True))),
            query.top_k,
        )
        best = [(row, -negated) for negated, row in hits]
        counts = iter([sum(of_page) for of_page in zip(*(found.above for found in answers), strict=True)])
        return Found(
            rows=[row for row, _ in best],
            scores=[score for _, score in best],
            ranks=[1 + next(counts) if score > 0 else None for score in scores],
            track_scores=[*scores],
            above=[],
        )

    def _hits(self, shard: int, found: Found) -> Iterable[tuple[float, int]]:
        """A shard's best pages as pairs that sort best first: the score, negated, and the row among all pages."""
        begin = self._cuts.starts[shard]
        return ((-score, begin + row) for row, score in zip(found.rows, found.scores, strict=True))


def _any_between(rows: npt.NDArray[np.int64], begin: int, end: int) -> bool:
    """Whether any of some rising rows is in a range."""
    low, high = np.searchsorted(rows, [begin, end])
    return bool(low < high)
