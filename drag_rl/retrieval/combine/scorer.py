"""The seam of reranking: what scores the candidates of a first stage.

A scorer of your own is an object with one method; this one counts the query's words on a page::

    class CountWords:
        def __init__(self, pages: PageTexts) -> None:
            self.pages = pages

        async def score(self, query: str, page_ids: Sequence[str]) -> list[float]:
            words = query.lower().split()
            return [float(sum(self.pages.text(page_id).lower().count(word) for word in words)) for page_id in page_ids]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from drag_rl.retrieval.base import Query, Retriever
from drag_rl.retrieval.late.heat_map import HeatMap, explained


@runtime_checkable
class PageScorer(Protocol):
    """Scores some pages for a query."""

    async def score(self, query: str, page_ids: Sequence[str]) -> list[float]:
        """The score of each page, finite, higher is better; comparable within one call.

        The same arguments give the same scores, whatever else runs at the same time. The event loop is not blocked.
        """


class RankScorer:
    """Scores pages by where another index ranks them: ``-rank``; pages that it does not rank come last."""

    def __init__(self, index: Retriever) -> None:
        self._index = index

    async def score(self, query: str, page_ids: Sequence[str]) -> list[float]:
        """See :class:`PageScorer`."""
        (found,) = await self._index.search([Query(text=query, track=tuple(page_ids))], 0)
        last = len(self._index.pages) + 1
        return [-float(last if rank is None else rank) for rank in found.tracked]

    async def explain(self, query: str, page_id: str) -> HeatMap:
        """By the index, where it can; see ``late.heat_map.Explains``."""
        return await explained(query, page_id, self._index)
