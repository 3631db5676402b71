"""An episode that searches as soon as it is told a message, for tests without an event loop; and a fixed retriever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from drag_rl.episode import EpisodeConfig, FinishReason, Observation, SearchEpisode, SearchRequest
from drag_rl.retrieval import PageTexts, Query, Ranking
from drag_rl.types import Hit, Question, StopReason


class Driven(SearchEpisode):
    """``step`` makes the search that the episode asks for; ``searching`` has ``pages`` and a ``retriever``."""

    def __init__(self, question: Question, searching: Any, config: EpisodeConfig | None = None) -> None:
        super().__init__(question, searching.pages, config)
        self._retriever = searching.retriever

    def step(self, text: str, finish_reason: FinishReason) -> Observation | StopReason:
        """What comes of a message, its search included."""
        reply = super().step(text, finish_reason)
        if isinstance(reply, SearchRequest):
            search = self._retriever.search(reply.queries, reply.top_k)
            with ThreadPoolExecutor(
                1
            ) as thread:  # this one may have an event loop that runs, as a browser's tests do
                reply = self.show(thread.submit(asyncio.run, search).result())
        return reply


@dataclass(frozen=True)
class Found:
    """A retriever that always finds its pages in their order, whatever is searched."""

    pages: PageTexts
    fingerprint: str = "found"

    @property
    def retriever(self) -> Found:
        return self

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        ids = self.pages.page_ids
        hits = tuple(Hit(page_id=page, rank=rank, score=1.0) for rank, page in enumerate(ids[:top_k], 1))
        ranks = {page_id: rank for rank, page_id in enumerate(ids, start=1)}
        return [Ranking(hits=hits, tracked=tuple(map(ranks.get, query.track))) for query in queries]
