"""Which terms the pages hold and where: made from texts, or memory-mapped from an index folder.

Shape letters: D pages, T terms of all pages in order, repeats kept, W different terms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.tokenizer import Tokenizer

TERM_IDS = "term_ids.npy"
TERM_STARTS = "term_starts.npy"
PAGE_STARTS = "page_starts.npy"
TERMS = "terms.json"
TERM_PAGES = "term_pages.npy"
VOCABULARY_FILES = (TERMS, TERM_PAGES)
"""What an index folder goes without where the back end stores the vocabulary itself."""

FEW_TERMS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageTerms:
    """The terms of every page, in page order; reads only, safe to share between threads."""

    term_ids: npt.NDArray[np.int32]
    """The terms of the first page, then those of the second ... (T,)."""
    starts: npt.NDArray[np.int32]
    """The character of its page at which each of them begins (T,)."""
    page_starts: npt.NDArray[np.int64]
    """Where the terms of each page begin in ``term_ids``, and where the last page's end (D + 1,)."""
    vocabulary: Mapping[str, int]
    """Term -> its id, 0-based; ids are given in order of first sight, so the same pages have the same ones."""
    holding: npt.NDArray[np.integer[Any]]
    """How many pages hold each term (W,)."""

    @classmethod
    def of(cls, texts: Iterable[str], tokenizer: Tokenizer) -> PageTerms:
        """The terms of texts."""
        vocabulary: dict[str, int] = {}
        pages: list[list[int]] = []
        starts = [np.empty(0, dtype=np.int32)]
        for text in texts:
            spans = list(tokenizer.spans(text))
            pages.append([vocabulary.setdefault(term, len(vocabulary)) for _, _, term in spans])
            starts.append(np.array([start for start, _, _ in spans], dtype=np.int32))
        ends = np.cumsum([len(terms) for terms in pages], dtype=np.int64)
        holding = np.fromiter(chain.from_iterable(map(set, pages)), np.int64)
        return cls(
            term_ids=np.fromiter(chain.from_iterable(pages), np.int32),
            starts=np.concatenate(starts),
            page_starts=np.concatenate([np.zeros(1, dtype=np.int64), ends]),
            vocabulary=vocabulary,
            holding=np.bincount(holding, minlength=len(vocabulary)),
        )

    @classmethod
    def open(
        cls,
        folder: Path,
        vocabulary: Mapping[str, int] | None = None,
        holding: npt.NDArray[np.integer[Any]] | None = None,
    ) -> PageTerms:
        """What :meth:`save` wrote; a retriever that stores ``vocabulary`` and ``holding`` itself gives them."""
        if vocabulary is None:
            terms = json.loads((folder / TERMS).read_text(encoding="utf-8"))
            vocabulary = {term: term_id for term_id, term in enumerate(terms)}
        return cls(
            term_ids=_mapped(folder / TERM_IDS),
            starts=_mapped(folder / TERM_STARTS),
            page_starts=_mapped(folder / PAGE_STARTS),
            vocabulary=vocabulary,
            holding=_mapped(folder / TERM_PAGES) if holding is None else holding,
        )

    def save(self, folder: Path) -> None:
        """Write the files of an index folder; the same terms give the same files."""
        np.save(folder / TERM_IDS, self.term_ids)
        np.save(folder / TERM_STARTS, self.starts)
        np.save(folder / PAGE_STARTS, self.page_starts)
        (folder / TERMS).write_text(json.dumps([*self.vocabulary], ensure_ascii=False), encoding="utf-8")
        np.save(folder / TERM_PAGES, self.holding)

    def by_page(self) -> list[list[int]]:
        """The term ids of each page, repeats kept."""
        ends = self.page_starts.tolist()
        return [self.term_ids[begin:end].tolist() for begin, end in pairwise(ends)]

    def matches(self, row: int, wanted: npt.NDArray[np.int32]) -> tuple[list[int], list[int]]:
        """Where some terms stand on a page (its 0-based place): characters, rising, and the term id at each."""
        begin, end = self.page_starts[row], self.page_starts[row + 1]
        page_terms = self.term_ids[begin:end]
        where = np.flatnonzero(_among(page_terms, wanted))
        return self.starts[begin:end][where].tolist(), page_terms[where].tolist()

    def weight(self, term_id: int) -> float:
        """How telling a term is: ``ln(1 + (D - n + 0.5) / (n + 0.5))`` for the n of D pages that hold it; > 0."""
        pages, holding = len(self.page_starts) - 1, int(self.holding[term_id])
        return float(np.log1p((pages - holding + 0.5) / (holding + 0.5)))


def _among(term_ids: npt.NDArray[np.int32], wanted: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """``np.isin``, three times as fast for the few terms of a query."""
    if len(wanted) > FEW_TERMS:
        return np.isin(term_ids, wanted)
    found = np.zeros(len(term_ids), dtype=np.bool_)
    for term_id in wanted:
        found |= term_ids == term_id
    return found


def _mapped(path: Path) -> npt.NDArray[Any]:
    """A memory-mapped array as a plain view, without numpy's memmap class: much cheaper to slice."""
    return np.asarray(np.load(path, mmap_mode="r"))
