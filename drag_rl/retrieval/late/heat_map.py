"""Why a page matched: how like each part of a page image is to each token of a query.

A retriever that can explain has one method more; ``heat_map`` does the work where its model sees page images::

    async def explain(self, query: str, page_id: str) -> HeatMap:
        return await asyncio.to_thread(heat_map, self.embedder, self.page_image(page_id), query)

The similarities are those of sentence-transformers' ``maxsim_similarity_map``, of a model in any place: its utilities
ask the model's own processor for tokens and grid, which a server does not hand out.

Shape letters: T vectors of a query, R rows and C columns of the image tokens of a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import MultiVectorEmbedder, PageVectors
from drag_rl.retrieval.late.query_words import QueryWord, query_words

Map = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of a page image."""

TEMPERATURE = 0.05
"""How much less like a token a cell must be to weigh 1/e of the likest one, as a difference of cosines. Models of this
kind are trained at temperatures of 0.02 (ColPali) to 0.1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMap:
    """A page image and a query, token by token."""

    query: str
    image: Image.Image
    """The page image that the model saw."""
    tokens: tuple[str, ...]
    """What each of the T vectors of the query stands for; "" where it is no part of the text."""
    similarity: Map
    """The cosine of each token of the query with each cell of the image, shape (T, R, C)."""

    @property
    def score(self) -> float:
        """The page's MaxSim: each token's best cosine, added up; of all vectors, so that pooling has lost nothing."""
        return float(self.similarity.max(axis=(1, 2)).sum())

    @cached_property
    def words(self) -> tuple[QueryWord, ...]:
        """The words of the query that have tokens."""
        return query_words(self.query, self.tokens)

    @cached_property
    def mass(self) -> Map:
        """Where each token looks, shape (T, R, C): a softmax of ``similarity / TEMPERATURE`` over the cells.

        It is the derivative of the token's smooth maximum ``TEMPERATURE * log(sum(exp(similarity / TEMPERATURE)))``:
        how much of its part of the score each cell carries. Each token's adds up to 1.
        """
        flat = self.similarity.reshape(len(self.similarity), -1).astype(np.float64)
        weights = np.exp((flat - flat.max(axis=1, keepdims=True)) / TEMPERATURE)
        shares: Map = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares.reshape(self.similarity.shape)

    def whole(self) -> Map:
        """Where the score of all words comes from, shape (R, C), adding up to 1."""
        tokens = [token for word in self.words for token in word.tokens]
        return self._together(tokens or range(len(self.tokens)))

    def of_word(self, number: int) -> Map:
        """The same of one word of ``words``."""
        return self._together(self.words[number].tokens)

    def best(self, number: int) -> float:
        """The mean of a word's tokens' best cosines: how sure the model is that the page shows it."""
        return float(self.similarity[list(self.words[number].tokens)].max(axis=(1, 2)).mean())

    def _together(self, tokens: Sequence[int]) -> Map:
        """The maps of some tokens, each weighted by its part of the score; all alike where none has any."""
        chosen = list(tokens)
        parts_T = np.maximum(self.similarity[chosen].max(axis=(1, 2)), 0.0)
        if not parts_T.any():
            parts_T = np.ones_like(parts_T)
        together: Map = np.tensordot(parts_T / parts_T.sum(), self.mass[chosen], axes=1)
        return together


def warmth(mass_RC: Map) -> Map:
    """A map as it is shown, in [0, 1): what a cell has beyond an even spread, by what the strongest has.

    So a word that is everywhere alike warms nothing, and one that is in one place warms that place.

    >>> warmth(np.full((2, 2), 0.25, np.float32)).max(), warmth(np.array([[1, 0], [0, 0]], np.float32)).max()
    (np.float32(0.0), np.float32(0.75))
    """
    warm: Map = np.maximum(mass_RC - 1 / mass_RC.size, 0.0) / mass_RC.max()
    return warm


def share_within(mass_RC: Map, box: Box, size: tuple[int, int]) -> float:
    """How much of a map lies in a box of an image of ``size`` (width, height); a cell counts by its part in the box.

    >>> share_within(np.array([[0.5, 0.25], [0.25, 0.0]]), (0, 0, 50, 100), (100, 100))
    0.75
    """
    rows, columns = mass_RC.shape
    (width, height), (left, top, right, bottom) = size, box
    covered_C = _covered(columns, left / width, right / width)
    covered_R = _covered(rows, top / height, bottom / height)
    return float(covered_R @ mass_RC @ covered_C / mass_RC.sum())


def _covered(cells: int, start: float, end: float) -> npt.NDArray[np.float64]:
    """Which part of each of so many equal cells of [0, 1] lies in [start, end]."""
    edges = np.arange(cells + 1) / cells
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    covered: npt.NDArray[np.float64] = np.maximum(inside, 0.0) * cells
    return covered


def heat_map(
    embedder: MultiVectorEmbedder, image: Image.Image, query: str, seen: PageVectors | None = None
) -> HeatMap:
    """The heat map of one page image, embedded anew: what an index keeps may be pooled. Raises as the embedder does.

    ``seen`` is what the model sees in the image, where that is known already.
    """
    (page,) = [seen] if seen else embedder.embed_pages([image])
    (query_TE,) = embedder.embed_queries([query])
    tokens = embedder.query_tokens(query)
    if not len(query_TE) or len(tokens) != len(query_TE):
        raise InputError(f"the model gives {len(query_TE)} vectors for the {len(tokens)} tokens of a query")
    rows, columns = page.grid
    similarity: Map = (query_TE @ page.vectors.T).reshape(len(query_TE), rows, columns)
    return HeatMap(query=query, image=image, tokens=tuple(tokens), similarity=similarity)


class CannotExplainError(InputError):
    """No part of an index sees page images."""


@runtime_checkable
class Explains(Protocol):
    """A retriever, or a scorer of candidates, that can show why a page matched."""

    async def explain(self, query: str, page_id: str) -> HeatMap:
        """The heat map of a page of the index, whether the query finds it or not. The event loop is not blocked.

        Raises ``CannotExplainError`` at once where none of its parts can, and ``InputError`` for a page that is not in
        the index or has no image.
        """


async def explained(query: str, page_id: str, *parts: object) -> HeatMap:
    """What the first of some retrievers or scorers that can explain says of a page; raises as ``Explains`` does."""
    for part in parts:
        if isinstance(part, Explains):
            with suppress(CannotExplainError):
                return await part.explain(query, page_id)
    raise CannotExplainError(
        "this index cannot show why a page matched: give one of --kind late, or a rerank or fuse index with such a part"
    )
