"""Pages set anew from their own words in other fonts: what a reader learns is letters, not the fonts of a few books."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drag_rl.mupdf import pymupdf

SUFFIXES = (".ttf", ".otf")
WIDTH, HEIGHT = 595, 842
"""Of a page, in points: A4."""
SMALLEST, LARGEST = 8.0, 13.0
"""Of type, in points."""
_NEEDED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-"


def text_fonts(folder: Path) -> list[Path]:
    """The fonts of a folder, at any depth, in which an English text can be set, by name."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [path for path in paths if _has_letters(path)]


def _has_letters(path: Path) -> bool:
    try:
        font = pymupdf.Font(fontfile=str(path))
        return all(font.has_glyph(ord(letter)) for letter in _NEEDED)
    except (RuntimeError, ValueError, pymupdf.mupdf.FzErrorBase):
        return False


class Typesetter:
    """Sets pages in the fonts of a list."""

    def __init__(self, fonts: Sequence[Path]) -> None:
        """``fonts`` are as :func:`text_fonts` gives them."""
        self.fonts = tuple(fonts)
        self._loaded: dict[Path, Any] = {}

    def page(self, words: Sequence[str], font: Path, generator: np.random.Generator) -> Any:
        """A ``pymupdf.Page`` with as many of the words as there is room for, in a measure and a size drawn anew.

        A font that lacks a letter leaves the word out. The page holds its document.
        """
        face = self._loaded.setdefault(font, pymupdf.Font(fontfile=str(font)))
        size = float(generator.uniform(SMALLEST, LARGEST))
        leading = size * float(generator.uniform(1.1, 1.6))
        left, right = (float(margin) for margin in generator.uniform(30, 110, 2))
        document = pymupdf.open()
        page = document.new_page(width=WIDTH, height=HEIGHT)
        writer = pymupdf.TextWriter(page.rect)
        for line, y in _lines(words, face, size, leading, WIDTH - left - right):
            writer.append((left, y), line, font=face, fontsize=size)
        writer.write_text(page)
        return page


def _lines(
    words: Sequence[str], face: Any, size: float, leading: float, measure: float
) -> Iterator[tuple[str, float]]:
    """Each line that the page has room for, and where its baseline is."""
    letters = {letter for word in words for letter in word}
    lacking = {letter for letter in letters if not face.has_glyph(ord(letter))}
    line: list[str] = []
    y, room = 40 + leading, measure
    space = face.text_length(" ", fontsize=size)
    for word in words:
        if lacking.intersection(word):
            continue
        width = face.text_length(word, fontsize=size)
        if line and width > room:
            yield " ".join(line), y
            y, line, room = y + leading, [], measure
            if y > HEIGHT - 40:
                return
        line.append(word)
        room -= width + space
    yield " ".join(line), y
