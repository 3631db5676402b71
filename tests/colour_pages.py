"""Pages of coloured squares, and a model that sees colours: real vectors from pixels, without weights.

A square's vector is its mean colour, centred and of length 1; a word is the colour that it names. So a page of a red
square matches "red", at that square, and nothing else has to be believed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from drag_rl.retrieval.late.embedder import PageVectors, Vectors

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
