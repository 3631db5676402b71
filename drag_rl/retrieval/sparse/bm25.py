"""BM25 scores of every page for a query. The only module that knows bm25s."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import bm25s
import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.page_terms import PageTerms

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs every step at DEBUG otherwise

Method = Literal["lucene", "robertson", "atire"]
"""The BM25 variants in which a page that shares no term with the query scores 0: a rank needs that."""


def write_bm25(folder: Path, terms: PageTerms, *, k1: float, b: float, method: Method) -> None:
    """Score every (page, term) pair and write the sparse matrix to ``folder``; ``k1`` >= 0, ``b`` in [0, 1]."""
    retriever = bm25s.BM25(k1=k1, b=b, method=method, backend="numpy")
    corpus = terms.by_page(), dict(terms.vocabulary)
    retriever.index(corpus, create_empty_token=False, show_progress=False)
    retriever.save(folder, show_progress=False, allow_pickle=False)


class Bm25:
    """A memory-mapped BM25 index; reads only, so any number of threads may score at once."""

    def __init__(self, folder: Path) -> None:
        self._retriever: Any = bm25s.BM25.load(folder, mmap=True, allow_pickle=False, show_progress=False)
        # Views without numpy's memmap class: the same mapped bytes, much cheaper to slice.
        self._retriever.scores |= {
            name: np.asarray(self._retriever.scores[name]) for name in ("data", "indices", "indptr")
        }
        self._vocabulary: dict[str, int] = self._retriever.vocab_dict

    def __len__(self) -> int:
        return int(self._retriever.scores["num_docs"])

    @property
    def vocabulary(self) -> dict[str, int]:
        """Term -> its id, of every term that some page holds."""
        return self._vocabulary

    def holding(self) -> npt.NDArray[np.integer[Any]]:
        """How many pages hold each term, shape (terms,)."""
        holding: npt.NDArray[np.integer[Any]] = np.diff(self._retriever.scores["indptr"])
        return holding

    def scores(self, term_ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """BM25 score of each page, shape (pages,), higher is better, 0 where no term matches."""
        scores: npt.NDArray[np.float32] = self._retriever.get_scores_from_ids(list(term_ids))
        return scores
