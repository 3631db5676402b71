"""The batches of a training: tiles cut from pages, with what is printed in each. A batch follows from its number alone,
so a training that was stopped goes on with the pages that it would have seen.

Shape letters: B tiles, O words that are printed in them whole, M places that these words cover.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drag_rl.errors import InputError
from drag_rl.models.reader.faults import with_faults
from drag_rl.models.reader.page_store import PageStore
from drag_rl.models.reader.tower import CELL, SIDE, TILE, Grey

Numbers = npt.NDArray[np.int64]

FEWEST_WORDS = 12
"""Of a tile that is worth its cost; others are drawn again."""
TRIES = 50
MARGIN = 1.0
"""Pixels between a word that counts and the edge of the tile."""
ALONG = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
"""Points of a word, from its left to its right; cells in which one lies are covered by it."""
SLOT_WIDTH, SLOT_HEIGHT = 4, 8
"""Pixels of a slot: at most one letter of usual type has its middle in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Tiles and their labels."""

    tiles: Grey
    """Shape (B, 256, 256)."""
    cells: Numbers
    """The cell that has the middle of each word, counted over all tiles (O,)."""
    words: Numbers
    """Its number in the vocabulary (O,)."""
    covering: Numbers
    """Which word covers a cell ... (M,)."""
    covered: Numbers
    """... and which cell that is (M,)."""
    letters: npt.NDArray[np.int64]
    """The kind of what stands in each slot, shape (B, 256 / 8, 256 / 4)."""


class CropSource:
    """Draws batches from the pages of one part."""

    def __init__(self, store: PageStore, part: int, *, tiles: int, seed: int, faults: bool = True) -> None:
        """Raises ``InputError`` if the part has no page."""
        self._store = store
        self._tiles = tiles
        self._seed = seed
        self._faults = faults
        self._pages = store.of_part(part)
        if not len(self._pages):
            raise InputError(f"--pages {store.folder}: holds no page of part {part}")

    def batch(self, number: int) -> Batch:
        """The batch of a number."""
        generator = np.random.default_rng((self._seed, number))
        tiles = np.full((self._tiles, TILE, TILE), 255, np.uint8)
        letters = np.zeros((self._tiles, TILE // SLOT_HEIGHT, TILE // SLOT_WIDTH), np.int64)
        found: list[tuple[Numbers, Numbers, Numbers, Numbers]] = []
        occurrences = 0
        for place in range(self._tiles):
            page, (top, left), words = self._drawn(generator)
            tile = _cut(self._store.pixels(page), top, left)
            tiles[place] = with_faults(tile, generator) if self._faults else tile
            _spell(self._store.letters(page), top, left, letters[place])
            whole = words[_whole(words)]
            xs, ys = _along(whole, ALONG)
            cells = _cell(xs, ys) + place * SIDE**2  # occurrences x points
            covering = np.repeat(np.arange(len(whole)), len(ALONG)) + occurrences
            found.append((cells[:, len(ALONG) // 2], whole["word"].astype(np.int64), covering, cells.ravel()))
            occurrences += len(whole)
        middle, numbers, covering, covered = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Batch(
            tiles=tiles, cells=middle, words=numbers, covering=covering, covered=covered, letters=letters
        )

    def _drawn(self, generator: np.random.Generator) -> tuple[int, tuple[int, int], npt.NDArray[np.void]]:
        """A page, the top and left of a tile of it, and the words that touch the tile, placed in it."""
        for _ in range(TRIES):
            page = int(self._pages[int(generator.integers(len(self._pages)))])
            sides = self._store.pixels(page).shape
            top, left = (int(generator.integers(max(1, side - TILE + 1))) for side in sides)
            words = self._store.words(page).copy()
            for name in ("x0", "x1"):
                words[name] -= left
            for name in ("y0", "y1"):
                words[name] -= top
            if _whole(words).sum() >= FEWEST_WORDS:
                break
        near = (words["x1"] > 0) & (words["x0"] < TILE) & (words["y0"] > 0) & (words["y0"] < TILE)
        return page, (top, left), words[near]


def _cut(pixels: Grey, top: int, left: int) -> Grey:
    """A tile of a page, white where the page ends."""
    cut = pixels[top : top + TILE, left : left + TILE]
    tile = np.full((TILE, TILE), 255, np.uint8)
    tile[: cut.shape[0], : cut.shape[1]] = cut
    return tile


def _spell(letters: npt.NDArray[np.void], top: int, left: int, slots: npt.NDArray[np.int64]) -> None:
    """Write which letter has its middle in each slot of a tile."""
    xs, ys = letters["x"] - left, letters["y"] - top
    inside = (xs >= 0) & (xs < TILE) & (ys >= 0) & (ys < TILE)
    rows, columns = (ys[inside] // SLOT_HEIGHT).astype(int), (xs[inside] // SLOT_WIDTH).astype(int)
    slots[rows, columns] = letters["kind"][inside]


def _whole(words: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """Which words stand in a tile whole."""
    tall = words["height"] / 2
    inside: npt.NDArray[np.bool_] = (
        (words["x0"] > MARGIN)
        & (words["x1"] < TILE - MARGIN)
        & (np.minimum(words["y0"], words["y1"]) - tall > -tall / 2)
        & (np.maximum(words["y0"], words["y1"]) + tall < TILE + tall / 2)
    )
    return inside


def _along(
    words: npt.NDArray[np.void], points: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], ...]:
    """The points of words at some shares of their widths."""
    xs = words["x0"][:, None] + (words["x1"] - words["x0"])[:, None] * points
    ys = words["y0"][:, None] + (words["y1"] - words["y0"])[:, None] * points
    return xs, ys


def _cell(xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]) -> Numbers:
    """The cells of points in a tile."""
    columns, rows = (np.clip(values // CELL, 0, SIDE - 1).astype(np.int64) for values in (xs, ys))
    cells: Numbers = rows * SIDE + columns
    return cells
