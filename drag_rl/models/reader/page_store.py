"""Pages made ready for training: rendered once, in files that are mapped, so that a crop costs a copy of its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.models.reader.pages import LETTER_TYPE, WORD_TYPE, PrintedPage

STAGE = "drag_rl.models.reader.prepare"
PIXELS, PAGES, VOCABULARY = "pixels.u8", "pages.npy", "vocabulary.txt"
WORDS, LETTERS = "words.npy", "letters.npy"
TRAIN, OTHER_DOCUMENTS, OTHER_FONTS = 0, 1, 2
"""What a page is for: training, or watching it on documents or in fonts that are not trained on."""

PAGE_TYPE = np.dtype(
    [
        ("pixels", "i8"),
        ("height", "i4"),
        ("width", "i4"),
        ("words", "i8"),
        ("count", "i4"),
        ("letters", "i8"),
        ("letter_count", "i4"),
        ("document", "i4"),
        ("part", "i1"),
    ]
)
"""A page: where its pixels begin, its size, where its words and its letters begin and how many they are, its document,
its part."""


class PageWriter:
    """Writes pages one after the other."""

    def __init__(self, folder: Path, pixels: IO[bytes]) -> None:
        """``pixels`` is the file for them, which the caller opens and closes."""
        self._folder = folder
        self._pixels = pixels
        self._at = 0
        self._pages: list[tuple[int, ...]] = []
        self._words: list[npt.NDArray[np.void]] = []
        self._letters: list[npt.NDArray[np.void]] = []
        self._vocabulary: dict[str, int] = {}
        self._word_count = self._letter_count = 0

    @property
    def pages(self) -> int:
        """How many there are."""
        return len(self._pages)

    def add(self, page: PrintedPage, document: int, part: int) -> None:
        """Write one."""
        height, width = page.pixels.shape
        self._pixels.write(np.ascontiguousarray(page.pixels).tobytes())
        places = page.places.copy()
        places["word"] = [self._vocabulary.setdefault(key, len(self._vocabulary)) for key in page.keys]
        words, letters = (self._word_count, len(places)), (self._letter_count, len(page.letters))
        self._pages.append((self._at, height, width, *words, *letters, document, part))
        self._words.append(places)
        self._letters.append(page.letters)
        self._at += height * width
        self._word_count += len(places)
        self._letter_count += len(page.letters)

    def finish(self) -> None:
        """Write what tells the pages apart."""
        np.save(self._folder / PAGES, np.array(self._pages, PAGE_TYPE))
        np.save(self._folder / WORDS, np.concatenate([np.empty(0, WORD_TYPE), *self._words]))
        np.save(self._folder / LETTERS, np.concatenate([np.empty(0, LETTER_TYPE), *self._letters]))
        (self._folder / VOCABULARY).write_text("\n".join(self._vocabulary), encoding="utf-8")


@dataclass(frozen=True)
class PageStore:
    """The pages of a folder that :class:`PageWriter` has filled."""

    folder: Path

    def __post_init__(self) -> None:
        """Raises ``InputError`` for another folder."""
        if (stage := read_manifest(self.folder).stage) != STAGE:
            raise InputError(f"--pages {self.folder}: was made by {stage}, not by {STAGE}")

    @cached_property
    def fingerprint(self) -> str:
        """Which pages they are."""
        return read_manifest(self.folder).fingerprint

    @cached_property
    def pages(self) -> npt.NDArray[np.void]:
        """All pages, of ``PAGE_TYPE``."""
        rows: npt.NDArray[np.void] = np.load(self.folder / PAGES)
        return rows

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The words, by number."""
        return tuple((self.folder / VOCABULARY).read_text(encoding="utf-8").split("\n"))

    @cached_property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """How often each word is printed, as a share of all that is."""
        counts = np.bincount(self._words["word"], minlength=len(self.vocabulary))
        shares: npt.NDArray[np.float64] = counts / counts.sum()
        return shares

    def of_part(self, part: int) -> npt.NDArray[np.int64]:
        """The numbers of the pages of a part."""
        return np.flatnonzero(self.pages["part"] == part)

    def pixels(self, page: int) -> npt.NDArray[np.uint8]:
        """The pixels of a page, mapped, shape (height, width)."""
        row = self.pages[page]
        height, width, begin = int(row["height"]), int(row["width"]), int(row["pixels"])
        return self._pixels[begin : begin + height * width].reshape(height, width)

    def words(self, page: int) -> npt.NDArray[np.void]:
        """The words of a page, of ``WORD_TYPE``."""
        row = self.pages[page]
        return self._words[int(row["words"]) : int(row["words"]) + int(row["count"])]

    def letters(self, page: int) -> npt.NDArray[np.void]:
        """The characters of a page, of ``LETTER_TYPE``."""
        row = self.pages[page]
        return self._letters[int(row["letters"]) : int(row["letters"]) + int(row["letter_count"])]

    @cached_property
    def _letters(self) -> npt.NDArray[np.void]:
        rows: npt.NDArray[np.void] = np.load(self.folder / LETTERS, mmap_mode="r")
        return rows

    @cached_property
    def _pixels(self) -> npt.NDArray[np.uint8]:
        return np.memmap(self.folder / PIXELS, np.uint8, "r")

    @cached_property
    def _words(self) -> npt.NDArray[np.void]:
        rows: npt.NDArray[np.void] = np.load(self.folder / WORDS, mmap_mode="r")
        return rows
