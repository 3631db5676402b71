"""Which terms the pages hold and where: made from texts, or memory-mapped from an index folder.

Shape letters: D pages, T terms of all pages in order, repeats kept, W different terms.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.mapped import mapped_array
from drag_rl.retrieval.tokenizer import Tokenizer
from drag_rl.retrieval.vocabulary import Vocabulary

TERM_IDS = "term_ids.npy"
TERM_STARTS = "term_starts.npy"
PAGE_STARTS = "page_starts.npy"
TERMS = "terms.arrow"
TERM_PAGES = "term_pages.npy"
_NO_TERM = -1
"""Of a word that is a stop word."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageTerms:
    """The terms of every page, in page order; reads only, safe to share between threads."""

    term_ids: npt.NDArray[np.int32]
    """The terms of the first page, then those of the second ... (T,)."""
    starts: npt.NDArray[np.int32]
    """The character of its page at which each of them begins (T,)."""
    page_starts: npt.NDArray[np.int64]
    """Where the terms of each page begin in ``term_ids``, and where the last page's end (D + 1,)."""
    vocabulary: Vocabulary
    """Term -> its id, 0-based: its place among all of them."""
    holding: npt.NDArray[np.int64]
    """How many pages hold each term; each term is held by one at least (W,)."""

    @classmethod
    def of(cls, texts: Iterable[str], tokenizer: Tokenizer) -> PageTerms:
        """The terms of texts."""
        seen: dict[str, int] = {}
        of_words: dict[str, int] = {}
        term_ids, starts, page_starts = array("i"), array("i"), array("q", [0])
        for text in texts:
            for start, word in tokenizer.words(text):
                term_id = of_words.get(word)
                if term_id is None:
                    term = tokenizer.term(word)
                    term_id = _NO_TERM if term is None else seen.setdefault(term, len(seen))
                    of_words[word] = term_id
                if term_id != _NO_TERM:
                    term_ids.append(term_id)
                    starts.append(start)
            page_starts.append(len(term_ids))
        vocabulary = Vocabulary.of([*seen])
        sorted_ids = np.empty(len(seen), dtype=np.int32)
        sorted_ids[[seen[term] for term in vocabulary]] = np.arange(len(seen), dtype=np.int32)
        ids, ends = sorted_ids[np.array(term_ids, dtype=np.int32)], np.array(page_starts, dtype=np.int64)
        return cls(
            term_ids=ids,
            starts=np.array(starts, dtype=np.int32),
            page_starts=ends,
            vocabulary=vocabulary,
            holding=_holding(ids, np.diff(ends), len(vocabulary)),
        )

    @classmethod
    def open(cls, folder: Path) -> PageTerms:
        """What :meth:`save` wrote, memory-mapped."""
        return cls(
            term_ids=mapped_array(folder / TERM_IDS),
            starts=mapped_array(folder / TERM_STARTS),
            page_starts=mapped_array(folder / PAGE_STARTS),
            vocabulary=Vocabulary.open(folder / TERMS),
            holding=mapped_array(folder / TERM_PAGES),
        )

    def save(self, folder: Path) -> None:
        """Write the files of an index folder; the same terms give the same files."""
        np.save(folder / TERM_IDS, self.term_ids)
        np.save(folder / TERM_STARTS, self.starts)
        np.save(folder / PAGE_STARTS, self.page_starts)
        self.vocabulary.save(folder / TERMS)
        np.save(folder / TERM_PAGES, self.holding)

    def terms_of(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The term ids and the starts of some pages, one page after another, and how many terms each has (d,)."""
        begins = self.page_starts[rows]
        lengths = self.page_starts[rows + 1] - begins
        places = ranges(begins, lengths)
        return self.term_ids[places], self.starts[places], lengths

    def holding_among(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many of some pages hold each term (W,)."""
        term_ids, _, lengths = self.terms_of(rows)
        return _holding(term_ids, lengths, len(self.vocabulary))

    def of_page(self, row: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The terms of a page, and the characters at which they begin; read-only, mapped or not."""
        page = slice(self.page_starts[row], self.page_starts[row + 1])
        term_ids, starts = self.term_ids[page], self.starts[page]
        term_ids.flags.writeable = starts.flags.writeable = False
        return term_ids, starts

    def weights(self, term_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """How telling terms are: ``ln(1 + (D - n + 0.5) / (n + 0.5))`` for the n of D pages that hold each; > 0."""
        pages, holding = len(self.page_starts) - 1, self.holding[term_ids]
        return np.log1p((pages - holding + 0.5) / (holding + 0.5))


def ranges(begins: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers from each begin on, as many as its length says, put together.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    return np.repeat(begins - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def _holding(
    term_ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64], terms: int
) -> npt.NDArray[np.int64]:
    """How many pages hold each term, of pages that have so many terms each."""
    pairs = np.sort(np.repeat(np.arange(len(lengths)), lengths) * terms + term_ids)
    once = np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]
    return np.bincount(pairs[once] % terms, minlength=terms)
