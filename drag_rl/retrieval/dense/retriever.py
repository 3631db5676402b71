"""The dense back end: pages whose passages are nearest to the query, as an embedding model sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from drag_rl.errors import InputError
from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.dense.embedder import Embedder, Vectors
from drag_rl.retrieval.dense.finders import SPARE_PAGES, Finder
from drag_rl.retrieval.dense.passages import searched_text
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.query_vectors import QueryVectors
from drag_rl.retrieval.shared_batches import SharedBatches
from drag_rl.retrieval.within import Within, nothing_found, ranking_of

TEXTS_AT_ONCE = 64
"""Queries that are embedded and searched together, at most."""


@dataclass(frozen=True, slots=True)
class _Asked:
    query: Query
    top_k: int


class DenseRetriever:
    """Embeds queries and ranks pages by their best passage; every caller's queries go through one thread.

    The model is loaded at the first search.
    """

    def __init__(
        self, pages: PageTexts, fingerprint: str, embedder: Embedder, finder: Callable[[], Finder]
    ) -> None:
        """``finder`` opens what a search needs; it is called once, by the searching thread."""
        self.pages = pages
        self.fingerprint = fingerprint
        self.embedder = embedder
        self._open = finder
        self._finder: Finder | None = None
        self._vectors: QueryVectors[Vectors] = QueryVectors(lambda texts: [*embedder.embed(texts, "query")])
        self._batches: SharedBatches[_Asked, Ranking] = SharedBatches(self._answers, TEXTS_AT_ONCE)

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`; raises ``InputError``, too, if the model cannot embed."""
        check_top_k(top_k)
        return await self._batches.ask([_Asked(query, top_k) for query in queries])

    def _answers(self, asked: Sequence[_Asked]) -> list[Ranking | Exception]:
        """The answer to each query, or what is wrong with it."""
        texts = [searched_text(one.query.text) for one in asked]
        found = {"": nothing_found}
        distinct = [text for text in dict.fromkeys(texts) if text]
        for begin in range(0, len(distinct), TEXTS_AT_ONCE):
            found |= self._found(distinct[begin : begin + TEXTS_AT_ONCE])
        answers: list[Ranking | Exception] = []
        for one, text in zip(asked, texts, strict=True):
            try:
                within = found[text]
                answers.append(ranking_of(self.pages, one.query, one.top_k, within, spare=SPARE_PAGES))
            except InputError as error:
                answers.append(error)
        return answers

    def _found(self, texts: Sequence[str]) -> dict[str, Within]:
        self._finder = finder = self._finder or self._open()
        queries_QE = np.stack(self._vectors.of(texts))
        return dict(zip(texts, finder.found(queries_QE), strict=True))
