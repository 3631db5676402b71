"""Pages of coloured squares, and a model that sees colours: real vectors from pixels, without weights.

A square's vector is its mean colour, centred and of length 1; a word is the colour that it names. So a page of a red
square matches "red", at that square, and nothing else has to be believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from drag_rl.retrieval import PageTexts, Query, Ranking, check_top_k
from drag_rl.retrieval.late.embedder import PageVectors, Vectors
from drag_rl.retrieval.late.heat_map import HeatMap, heat_map
from drag_rl.types import Hit

SQUARE = 32
COLOURS = {
    "red": (220, 20, 20),
    "green": (20, 160, 20),
    "blue": (20, 20, 220),
    "yellow": (230, 220, 20),
    "purple": (150, 20, 190),
    "cyan": (20, 200, 210),
}
WIDTH = 8


def page_image(squares: dict[tuple[int, int], str], rows: int = 4, columns: int = 3) -> Image.Image:
    """A white page with squares of colours at (row, column)."""
    image = Image.new("RGB", (columns * SQUARE, rows * SQUARE), "white")
    draw = ImageDraw.Draw(image)
    for (row, column), name in squares.items():
        draw.rectangle(box_of(row, column), fill=COLOURS[name])
    return image


def box_of(row: int, column: int) -> tuple[int, int, int, int]:
    """Where a square is on the page, in pixels."""
    left, top = column * SQUARE, row * SQUARE
    return left, top, left + SQUARE, top + SQUARE


class SeesColours:
    """A ``MultiVectorEmbedder``; words that name no colour, and the query's end, look like nothing on any page."""

    fingerprint = "sees colours"
    width = WIDTH

    def embed_pages(self, images: Sequence[Image.Image]) -> list[PageVectors]:
        return [self._seen(np.asarray(image.convert("RGB"), np.float32)) for image in images]

    def embed_queries(self, texts: Sequence[str]) -> list[Vectors]:
        return [np.stack([_word(token) for token in self.query_tokens(text)]) for text in texts]

    def query_tokens(self, text: str) -> list[str]:
        """Words in pieces of up to three letters, as a tokenizer cuts them, and an end."""
        pieces = []
        for match in re.finditer(r"\s*\S+", text):
            word = match.group()
            pieces += (
                [word] if word.strip() in COLOURS else [word[a:b] for a, b in pairwise(_cuts(len(word)))]
            )
        return [*pieces, ""]

    def visual_tokens(self, width: int, height: int) -> int:
        return max(1, width // SQUARE) * max(1, height // SQUARE)

    def _seen(self, pixels: np.ndarray) -> PageVectors:
        rows, columns = max(1, pixels.shape[0] // SQUARE), max(1, pixels.shape[1] // SQUARE)
        cells = [
            _colour(cell.reshape(-1, 3).mean(0))
            for strip in np.array_split(pixels, rows, axis=0)
            for cell in np.array_split(strip, columns, axis=1)
        ]
        return PageVectors(vectors=np.stack(cells), grid=(rows, columns))


def _cuts(length: int) -> list[int]:
    return [*range(0, length, 3), length] if length % 3 else [*range(0, length + 1, 3)]


def _colour(rgb: Sequence[float]) -> np.ndarray:
    vector = np.zeros(WIDTH, np.float32)
    vector[:3] = (np.asarray(rgb, np.float32) - 127.5) / 127.5
    vector[3] = 0.05  # a page of mid grey has a direction, too
    return vector / np.linalg.norm(vector)


def _word(token: str) -> np.ndarray:
    if token.strip() in COLOURS:
        return _colour(COLOURS[token.strip()])
    vector = np.zeros(WIDTH, np.float32)
    vector[4 + sum(token.encode()) % (WIDTH - 4)] = 1
    return vector


class ColourRetriever:
    """Ranks pages by exact MaxSim, as :class:`SeesColours` sees them; every page is found by any words."""

    fingerprint = "colour pages"

    def __init__(self, images: Mapping[str, Image.Image], texts: Mapping[str, str] | None = None) -> None:
        self.pages = PageTexts.of(texts or dict.fromkeys(images, ""))
        self.embedder = SeesColours()
        self._images = images

    def page_image(self, page_id: str) -> Image.Image:
        return self._images[page_id]

    async def explain(self, query: str, page_id: str) -> HeatMap:
        return heat_map(self.embedder, self.page_image(page_id), query)

    async def score(self, query: str, page_ids: Sequence[str]) -> list[float]:
        [query_TE] = self.embedder.embed_queries([query])
        seen = self.embedder.embed_pages([self._images[page_id] for page_id in page_ids])
        return [float((query_TE @ page.vectors.T).max(axis=1).sum()) for page in seen]

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        check_top_k(top_k)
        return [await self._ranking(query, top_k) for query in queries]

    async def _ranking(self, query: Query, top_k: int) -> Ranking:
        self.pages.rows([*query.track, *query.without])
        ids = [page_id for page_id in self.pages.page_ids if page_id not in query.without]
        if query.scope is not None:
            inside = {self.pages.page_ids[row] for row in self.pages.rows_of(query.scope)}
            ids = [page_id for page_id in ids if page_id in inside]
        if not query.text.strip():
            return Ranking(hits=(), tracked=(None,) * len(query.track))
        scores = dict(zip(ids, await self.score(query.text, ids), strict=True))
        ranked = sorted(ids, key=lambda page_id: -scores[page_id])
        ranks = {page_id: rank for rank, page_id in enumerate(ranked, start=1)}
        hits = [Hit(page_id=page_id, rank=rank, score=scores[page_id]) for page_id, rank in ranks.items()]
        return Ranking(hits=tuple(hits[:top_k]), tracked=tuple(map(ranks.get, query.track)))
