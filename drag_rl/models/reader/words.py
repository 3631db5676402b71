"""The text side: a word's vector is the mean of those of its character n-grams, which are hashed into a table.

So any word has a vector, also one that was never seen, and words that are spelt alike have like vectors, as they look
alike (fastText, arXiv:1607.04606).

Shape letters: W words, E numbers of a vector.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from drag_rl.models.reader.tower import DIM

BUCKETS = 1 << 14
"""Rows of the table; n-grams that share one share a vector."""
LENGTHS = (2, 3, 4)
"""Characters of an n-gram, the marks of a word's beginning and end counted in."""
LONGEST = 40
"""Characters of a word that count: what is longer is no word."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end: letters and digits, and apostrophes between them.

    >>> [("don't read.table(3)")[begin:end] for begin, end in word_spans("don't read.table(3)")]
    ["don't", 'read', 'table', '3']
    """
    return [match.span() for match in _WORD.finditer(text)]


def word_key(word: str) -> str:
    """A word as it is compared: lower case, ligatures resolved, apostrophes straight.

    >>> word_key("\\ufb01le\\u2019s")
    "file's"
    """
    return unicodedata.normalize("NFKC", word).casefold().replace("\u2019", "'")[:LONGEST]


def buckets(key: str) -> list[int]:
    """The rows of the table that make up a word: the word itself, and its n-grams.

    >>> len(buckets("page"))  # <page>, five pairs, four triples, three of four
    13
    """
    marked = f"<{key}>"
    grams = [marked] + [
        marked[at : at + length] for length in LENGTHS for at in range(len(marked) - length + 1)
    ]
    return [crc32(gram.encode()) % BUCKETS for gram in grams]


class WordBuckets:
    """The rows of all words of a vocabulary, looked up by number."""

    def __init__(self, keys: Sequence[str]) -> None:
        """``keys`` are as :func:`word_key` makes them."""
        each = [buckets(key) for key in keys]
        self.lengths = np.array([len(own) for own in each], np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])[:-1]
        self.rows = np.array([row for own in each for row in own], np.int64)

    def of(self, numbers: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """All rows of some words, one after the other, and where each word's begin."""
        lengths = self.lengths[numbers]
        offsets = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        places = np.repeat(self.starts[numbers] - offsets, lengths) + np.arange(lengths.sum())
        return torch.from_numpy(self.rows[places]), torch.from_numpy(offsets)


class WordReader(nn.Module):  # type: ignore[misc]
    """The table of n-grams."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(BUCKETS, DIM, mode="mean")

    def forward(self, rows: Tensor, offsets: Tensor) -> Tensor:
        """Vectors of length 1 of words, shape (W, E), by what :meth:`WordBuckets.of` gives."""
        return functional.normalize(self.table(rows, offsets), dim=-1)
