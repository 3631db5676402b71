"""The dense back end: pages whose passages are nearest to the query, as an embedding model sees it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from drag_rl.errors import InputError
from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.dense.embedder import Embedder, Vectors
from drag_rl.retrieval.dense.finders import SPARE_PAGES, Finder, Within, nothing_found
from drag_rl.retrieval.dense.passages import searched_text
from drag_rl.retrieval.dense.shared_batches import SharedBatches
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Hit

TEXTS_AT_ONCE = 64
"""Queries that are embedded and searched together, at most."""
VECTORS_KEPT = 4096
"""The vectors of so many queries, those asked last: samples of one question often search the same."""


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
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
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
                answers.append(self._ranking(one.query, one.top_k, found[text]))
            except InputError as error:
                answers.append(error)
        return answers

    def _found(self, texts: Sequence[str]) -> dict[str, Within]:
        self._finder = finder = self._finder or self._open()
        if new := [text for text in texts if text not in self._vectors]:
            self._vectors.update(zip(new, self.embedder.embed(new, "query"), strict=True))
        for text in texts:
            self._vectors.move_to_end(text)
        queries_QE = np.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > VECTORS_KEPT:
            self._vectors.popitem(last=False)
        return dict(zip(texts, finder.found(queries_QE), strict=True))

    def _ranking(self, query: Query, top_k: int, within: Within) -> Ranking:
        without = frozenset(self.pages.rows(query.without))
        tracked = self.pages.rows(query.track)
        scope = None if query.scope is None else self.pages.rows_of(query.scope)
        ranked, exact_to = within(scope, top_k + len(without))
        if exact_to is not None:
            exact_to = max(1, exact_to - max(0, len(without) - SPARE_PAGES))
        ranks = (ranked.rank(row, without) for row in tracked)
        best = ranked.best(top_k if exact_to is None else min(top_k, exact_to), without)
        return Ranking(
            hits=tuple(
                Hit(page_id=self.pages.page_ids[row], rank=rank, score=score)
                for rank, (row, score) in enumerate(best, start=1)
            ),
            tracked=tuple(
                rank if rank is not None and (exact_to is None or rank <= exact_to) else None
                for rank in ranks
            ),
            exact_to=exact_to,
        )
