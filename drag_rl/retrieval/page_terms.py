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
import pyarrow as pa

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
        return cls._counted(
            sorted_ids[np.array(term_ids, dtype=np.int32)],
            np.array(starts, dtype=np.int32),
            np.array(page_starts, dtype=np.int64),
            vocabulary,
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

    def of_pages(self, rows: npt.NDArray[np.int64]) -> PageTerms:
        """The terms of some of the pages, in the order of ``rows`` (d,), as if made from their texts."""
        begins = self.page_starts[rows]
        lengths = self.page_starts[rows + 1] - begins
        page_starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        places = np.repeat(begins - page_starts[:-1], lengths) + np.arange(page_starts[-1])
        term_ids = self.term_ids[places]
        used = np.zeros(len(self.vocabulary), dtype=np.bool_)
        used[term_ids] = True
        new_ids = np.cumsum(used, dtype=np.int32) - 1
        vocabulary = Vocabulary(self.vocabulary.terms.take(pa.array(np.flatnonzero(used))))
        return self._counted(new_ids[term_ids], self.starts[places], page_starts, vocabulary)

    @classmethod
    def _counted(
        cls,
        term_ids: npt.NDArray[np.int32],
        starts: npt.NDArray[np.int32],
        page_starts: npt.NDArray[np.int64],
        vocabulary: Vocabulary,
    ) -> PageTerms:
        pages = np.repeat(np.arange(len(page_starts) - 1), np.diff(page_starts))
        pairs = np.sort(pages * len(vocabulary) + term_ids)
        once = np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]
        return cls(
            term_ids=term_ids,
            starts=starts,
            page_starts=page_starts,
            vocabulary=vocabulary,
            holding=np.bincount(pairs[once] % len(vocabulary), minlength=len(vocabulary)),
        )

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
