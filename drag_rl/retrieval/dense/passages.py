"""Pages as passages that a model's window holds, and which vector each passage has.

Shape letters: P passages, V vectors (passages of equal text share one), D pages.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from drag_rl.corpus.clean_text import clean_text
from drag_rl.retrieval.page_texts import PageTexts

Numbers = npt.NDArray[np.int32]
PASSAGES = "passages.npy"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passages:
    """Every passage of a corpus, by its page and then by where it begins."""

    pages: Numbers
    """The row of its page, in page order."""
    begins: Numbers
    """Where it begins in the page's clean text, in characters."""
    ends: Numbers
    vectors: Numbers
    """Its vector."""

    @property
    def first_of_each(self) -> Numbers:
        """For each vector, the first passage that has it."""
        return np.unique(self.vectors, return_index=True)[1].astype(np.int32)

    def texts(self, pages: PageTexts, passages: Iterable[int]) -> Iterator[str]:
        """The texts of some passages, quickest in their order."""
        row, text = -1, ""
        for passage in passages:
            if row != (row := int(self.pages[passage])):
                text = embedded_text(pages, row)
            yield text[self.begins[passage] : self.ends[passage]]

    def write(self, file: IO[bytes]) -> None:
        """Write them as one array, a row for each field."""
        np.save(file, np.stack([self.pages, self.begins, self.ends, self.vectors]))

    @classmethod
    def load(cls, path: Path) -> Passages:
        """Those of a file, memory-mapped."""
        pages, begins, ends, vectors = np.asarray(np.load(path, mmap_mode="r"))
        return cls(pages=pages, begins=begins, ends=ends, vectors=vectors)


def cut_pages(pages: PageTexts, cuts_of: Callable[[str], Sequence[tuple[int, int]]]) -> Passages:
    """The passages of pages, given where a text is cut; vectors are numbered by the first passage that has them."""
    of_page, begins, ends, digests = array("i"), array("i"), array("i"), bytearray()
    for row in range(len(pages)):
        text = embedded_text(pages, row)
        for begin, end in cuts_of(text):
            of_page.append(row)
            begins.append(begin)
            ends.append(end)
            digests += blake2b(text[begin:end].encode(), digest_size=16).digest()
    _, firsts, inverse = np.unique(np.frombuffer(digests, "S16"), return_index=True, return_inverse=True)
    numbers = np.empty(len(firsts), dtype=np.int32)
    numbers[np.argsort(firsts)] = np.arange(len(firsts))
    rows, starts, stops = (np.frombuffer(column, np.int32) for column in (of_page, begins, ends))
    return Passages(pages=rows, begins=starts, ends=stops, vectors=numbers[inverse])


def embedded_text(pages: PageTexts, row: int) -> str:
    """The text of a page that is embedded; "" for one without a letter or digit, which nothing finds."""
    return searched_text(pages.text(pages.page_ids[row]))


def searched_text(text: str) -> str:
    """A text fit for a model; "" for one without a letter, digit or sign that stands for a word."""
    text = clean_text(text)
    return text if any(character.isalnum() for character in text) else ""


def even_cuts(text: str, starts: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Cut a text, whose tokens begin at ``starts``, into passages of at most ``most`` tokens and of about equal length.

    A cut goes back to the last blank of its passage, if there is one.

    >>> even_cuts("one two three four", [0, 4, 8, 14], 3)
    [(0, 8), (8, 18)]
    """
    cuts: list[tuple[int, int]] = []
    token = begin = 0
    while len(starts) - token > most:
        left = len(starts) - token
        end = starts[token + -(-left // -(-left // most))]
        if blank := max(text.rfind(" ", begin, end), text.rfind("\n", begin, end)) + 1:
            end = blank if text[begin:blank].strip() else end
        if end <= begin:  # several tokens of one character
            end = begin + 1
        cuts.append((begin, end))
        begin = end
        while token < len(starts) and starts[token] < begin:
            token += 1
    if begin < len(text):
        cuts.append((begin, len(text)))
    return cuts
