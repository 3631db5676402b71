"""The late-interaction back end: pages whose images show what the query's words ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.image_file import read_image
from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.dense.passages import searched_text
from drag_rl.retrieval.late.embedder import MultiVectorEmbedder, PageVectors, Vectors
from drag_rl.retrieval.late.finder import SPARE_PAGES, LateFinder
from drag_rl.retrieval.late.token_pooling import pooled
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.query_vectors import QueryVectors
from drag_rl.retrieval.shared_batches import SharedBatches
from drag_rl.retrieval.within import nothing_found, ranking_of

if TYPE_CHECKING:
    from drag_rl.retrieval.late.heat_map import HeatMap

TEXTS_AT_ONCE = 64
"""Queries that are embedded together, at most."""
EXPLAINED_PAGES = 8
"""Pages explained last whose image and vectors are kept, for other queries."""


@dataclass(frozen=True, slots=True)
class _Search:
    query: Query
    top_k: int

    @property
    def text(self) -> str:
        """What is embedded; "" for a query without a word."""
        return searched_text(self.query.text)


@dataclass(frozen=True, slots=True)
class _Score:
    query: str
    page_ids: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is embedded; "" for a query without a word."""
        return searched_text(self.query)


class LateRetriever:
    """Embeds queries and ranks pages by MaxSim; every caller's queries go through one thread, in batches.

    The model is loaded at the first search. It is a ``PageScorer``, too, for the second stage of ``--kind rerank``, and
    explains what it finds by heat maps.
    """

    def __init__(
        self,
        pages: PageTexts,
        fingerprint: str,
        embedder: MultiVectorEmbedder,
        finder: Callable[[], LateFinder],
        page_image: Callable[[str], Image.Image],
        *,
        pool: int = 1,
    ) -> None:
        """``finder`` opens what a search needs; it is called once. ``page_image`` is the image of a page by its id.

        ``pool`` is the factor of token pooling that the index was made with.
        """
        self.pages = pages
        self.fingerprint = fingerprint
        self.embedder = embedder
        self._open = finder
        self._finder: LateFinder | None = None
        self._page_image = page_image
        self._pool = pool
        self._seen = lru_cache(EXPLAINED_PAGES)(self._see)
        self._vectors: QueryVectors[Vectors] = QueryVectors(embedder.embed_queries)
        self._batches: SharedBatches[_Search | _Score, Ranking | list[float]] = SharedBatches(
            self._answers, TEXTS_AT_ONCE
        )

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`; raises ``InputError``, too, if the model cannot embed."""
        check_top_k(top_k)
        found = await self._batches.ask([_Search(query, top_k) for query in queries])
        return cast("list[Ranking]", found)

    async def score(self, query: str, page_ids: Sequence[str]) -> list[float]:
        """See :class:`drag_rl.retrieval.combine.scorer.PageScorer`: the MaxSim of each page, by its stored vectors.

        Where there are many pages, those that are best by bits are scored so, and the others come after them.
        """
        (scores,) = await self._batches.ask([_Score(query, tuple(page_ids))])
        return cast("list[float]", scores)

    async def explain(self, query: str, page_id: str) -> HeatMap:
        """See :class:`drag_rl.retrieval.late.heat_map.Explains`."""
        from drag_rl.retrieval.late.heat_map import heat_map

        def explained() -> HeatMap:
            image, vectors = self._seen(page_id)
            return heat_map(self.embedder, image, query, vectors)

        return await asyncio.to_thread(explained)

    def page_image(self, page_id: str) -> Image.Image:
        """The image of a page as the model saw it. Raises ``InputError`` for a page that is not there or has none."""
        self.pages.row(page_id)
        return self._page_image(page_id)

    def _see(self, page_id: str) -> tuple[Image.Image, PageVectors]:
        """The image of a page, and all vectors that the model gives it."""
        image = self.page_image(page_id)
        return image, self.embedder.embed_pages([image])[0]

    def encode_pages(self, images: Sequence[Image.Image | Path | str]) -> list[Vectors]:
        """The vectors of page images, or of image files, as the index would keep them: pooled, of length 1 (V, E).

        Raises ``InputError`` for a file that is no image, and as the model does.
        """
        opened = [image if isinstance(image, Image.Image) else read_image(Path(image)) for image in images]
        return (
            [pooled(page.vectors, self._pool) for page in self.embedder.embed_pages(opened)] if opened else []
        )

    def encode_queries(self, texts: Sequence[str]) -> list[Vectors]:
        """The vectors of queries, each of shape (T, E). Raises as the model does."""
        return self.embedder.embed_queries(texts) if texts else []

    def _answers(self, asked: Sequence[_Search | _Score]) -> list[Ranking | list[float] | Exception]:
        """The answer to each, or what is wrong with it."""
        self._finder = finder = self._finder or self._open()
        texts = [one.text for one in asked]
        distinct = [text for text in dict.fromkeys(texts) if text]
        vectors: dict[str, Vectors] = {}
        for begin in range(0, len(distinct), TEXTS_AT_ONCE):
            some = distinct[begin : begin + TEXTS_AT_ONCE]
            vectors |= dict(zip(some, self._vectors.of(some), strict=True))
        found = {text: finder.found(query_TE) for text, query_TE in vectors.items()} | {"": nothing_found}
        answers: list[Ranking | list[float] | Exception] = []
        for one, text in zip(asked, texts, strict=True):
            try:
                if isinstance(one, _Search):
                    answers.append(
                        ranking_of(self.pages, one.query, one.top_k, found[text], spare=SPARE_PAGES)
                    )
                else:
                    rows = np.array(self.pages.rows(one.page_ids), np.int64)
                    answers.append(finder.scores(vectors[text], rows) if text else [0.0] * len(rows))
            except InputError as error:
                answers.append(error)
        return answers
