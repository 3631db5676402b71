"""What a PDF says of its pages: their pixels, and which word stands where."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.models.reader.tower import Grey
from drag_rl.models.reader.words import word_key, word_spans
from drag_rl.mupdf import pymupdf

Coordinates = npt.NDArray[np.float64]

FEWEST_WORDS = 20
"""Of a page that is worth reading."""
MOST_PIXELS = 6_000_000
"""Of a page: larger ones are posters."""
LAST_LATIN = 0x24F
"""The last letter that counts as readable. Fonts that do not say what their glyphs mean give words of any script."""
MOST_UNREADABLE = 0.3
"""Share of such words, at most, on a page that is taken."""

WORD_TYPE = np.dtype(
    [("x0", "f4"), ("y0", "f4"), ("x1", "f4"), ("y1", "f4"), ("height", "f4"), ("word", "i4")]
)
"""A printed word: the middle of its left and of its right edge and its height, in pixels; its number."""

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
BLANK, OTHER = 0, len(LETTERS) + 1
KINDS = OTHER + 1
"""What may be in a place: nothing, a letter or digit, something else."""
LETTER_TYPE = np.dtype([("x", "f4"), ("y", "f4"), ("kind", "i1")])
"""A printed character: its middle, in pixels, and its kind."""
_KIND_OF = {letter: kind for kind, letter in enumerate(LETTERS, 1)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrintedPage:
    """One page as it is trained on."""

    pixels: Grey
    """Shape (height, width), 0 is black."""
    places: npt.NDArray[np.void]
    """Of ``WORD_TYPE``; the numbers of its words are places in ``keys``."""
    keys: tuple[str, ...]
    """The words, as they are compared, one for each place."""
    letters: npt.NDArray[np.void]
    """Of ``LETTER_TYPE``: every character that is not a space."""


def printed_words(page: Any) -> Iterator[tuple[float, float, float, float, str]]:
    """Left, top, right and bottom in points, and the text, of what stands between spaces on a ``pymupdf.Page``."""
    for left, top, right, bottom, text, *_ in page.get_text("words"):
        yield left, top, right, bottom, text


def printed_letters(page: Any) -> Iterator[tuple[float, float, int]]:
    """The middle in points, and the kind, of all characters of a page but spaces; of a ligature, its letters."""
    for block in page.get_text("rawdict", flags=pymupdf.TEXTFLAGS_WORDS)["blocks"]:
        for line in block["lines"]:
            for span in line["spans"]:
                for character in span["chars"]:
                    left, top, right, bottom = character["bbox"]
                    kinds = _kinds(character["c"])
                    step = (right - left) / max(1, len(kinds))
                    for number, kind in enumerate(kinds):
                        yield left + step * (number + 0.5), (top + bottom) / 2, kind


@lru_cache(maxsize=4096)
def _kinds(character: str) -> tuple[int, ...]:
    """Of the letters that a character is read as: several for a ligature, none for a space."""
    return tuple(_KIND_OF.get(letter, OTHER) for letter in word_key(character).strip())


def printed_page(page: Any, *, dpi: float, degrees: float = 0.0) -> PrintedPage | None:
    """A ``pymupdf.Page`` at a resolution and turned by an angle; None if there is little on it that can be read.

    A part of what stands between spaces, as ``read`` of ``read.table``, has its part of the box, by its characters.
    """
    matrix = pymupdf.Matrix(dpi / 72, dpi / 72).prerotate(degrees)
    bounds = page.rect * matrix
    if bounds.width * bounds.height > MOST_PIXELS:
        return None
    keys: list[str] = []
    boxes: list[tuple[float, float, float, float]] = []  # left, right, middle and height
    unreadable = 0
    for left, top, right, bottom, text in printed_words(page):
        spans = word_spans(text)
        unreadable += any(
            ord(character) > LAST_LATIN for begin, end in spans for character in text[begin:end]
        )
        step = (right - left) / len(text)
        for begin, end in spans:
            boxes.append((left + step * begin, left + step * end, (top + bottom) / 2, bottom - top))
            keys.append(word_key(text[begin:end]))
    if len(keys) < FEWEST_WORDS or unreadable > MOST_UNREADABLE * len(keys):
        return None
    lefts, rights, middles, heights = np.array(boxes).T
    places = np.zeros(len(keys), WORD_TYPE)
    places["x0"], places["y0"] = _moved(lefts, middles, matrix, bounds)
    places["x1"], places["y1"] = _moved(rights, middles, matrix, bounds)
    places["height"] = heights * dpi / 72
    xs, ys, kinds = np.array([*printed_letters(page)]).reshape(-1, 3).T
    letters = np.zeros(len(kinds), LETTER_TYPE)
    letters["x"], letters["y"] = _moved(xs, ys, matrix, bounds)
    letters["kind"] = kinds
    drawn = page.get_pixmap(matrix=matrix, colorspace=pymupdf.csGRAY, alpha=False)
    pixels = np.frombuffer(drawn.samples, np.uint8).reshape(drawn.height, drawn.stride)[:, : drawn.width]
    return PrintedPage(pixels=pixels, places=places, keys=tuple(keys), letters=letters)


def _moved(xs: Coordinates, ys: Coordinates, matrix: Any, bounds: Any) -> tuple[Coordinates, Coordinates]:
    """Where a ``pymupdf.Matrix`` moves points, from the top left of the page's new bounds."""
    return (
        xs * matrix.a + ys * matrix.c + matrix.e - bounds.x0,
        xs * matrix.b + ys * matrix.d + matrix.f - bounds.y0,
    )


def text_of(page: Any) -> list[str]:
    """What stands on a page between spaces, in the order of the file."""
    return [text for *_, text in printed_words(page)]


def varied_dpi(generator: np.random.Generator) -> float:
    """A resolution: that of page images here in half of all cases, else one of a printed or scanned page."""
    return (
        96.0 if generator.random() < 0.5 else float(math.exp(generator.uniform(math.log(80), math.log(125))))
    )
