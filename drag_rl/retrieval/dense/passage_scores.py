"""From the scores of vectors to those of pages: a page scores as its best passage.

Shape letters: Q queries, V vectors, P passages, D pages, E numbers of a vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.dense.embedder import Vectors
from drag_rl.retrieval.dense.passages import Passages
from drag_rl.retrieval.ranked_pages import RankedPages, Rows, Scores
from drag_rl.retrieval.within import NOT_RANKED

QUERIES_AT_ONCE = 8
"""Vectors are read once for so many queries. Always for so many, as the last bits of a product depend on its shape."""
ROWS_AT_ONCE = 1 << 15
"""Vectors that are turned from half precision at a time."""

Stored = npt.NDArray[np.floating]


class PassageScores:
    """The stored vectors of a corpus; reads only."""

    def __init__(self, passages: Passages, vectors_VE: Stored, pages: int) -> None:
        """``vectors_VE`` may be memory-mapped, in single or half precision; ``pages`` is how many there are (D)."""
        self._passages = passages
        self._vectors_VE = vectors_VE
        self._pages = pages
        self.rows, self._starts = np.unique(passages.pages, return_index=True)
        """The pages that have passages, rising, and where those begin."""
        whole = len(self.rows) == pages == len(passages.pages)
        self._one_each = whole and bool((passages.vectors == np.arange(pages)).all())

    def __len__(self) -> int:
        return len(self._vectors_VE)

    def of_all(self, queries_QE: Vectors) -> npt.NDArray[np.float32]:
        """The score of every page for up to ``QUERIES_AT_ONCE`` queries, shape (Q, D)."""
        block = np.zeros((QUERIES_AT_ONCE, queries_QE.shape[1]), np.float32)
        block[: len(queries_QE)] = queries_QE
        scores_QV = self._products(block)[: len(queries_QE)]
        if self._one_each:
            return scores_QV
        best = np.maximum.reduceat(scores_QV[:, self._passages.vectors], self._starts, axis=1)
        if len(self.rows) == self._pages:
            return best
        scores_QD = np.full((len(queries_QE), self._pages), NOT_RANKED, np.float32)
        scores_QD[:, self.rows] = best
        return scores_QD

    def of_vectors(self, query_E: Vectors, vectors: Rows) -> Scores:
        """The scores of some vectors for one query; each is the same whichever others are asked for."""
        found = np.einsum("ve,e->v", self._vectors_VE[vectors].astype(np.float32, copy=False), query_E)
        scores: Scores = found.astype(np.float32)
        return scores

    def within(self, query_E: Vectors, rows: Rows) -> RankedPages:
        """All pages among ``rows`` (rising) that have passages, ranked."""
        begins = np.searchsorted(self._passages.pages, rows, "left")
        ends = np.searchsorted(self._passages.pages, rows, "right")
        places = [np.arange(begin, end) for begin, end in zip(begins, ends, strict=True) if end > begin]
        if not places:
            return RankedPages(np.empty(0, np.int64), np.empty(0, np.float32))
        passages = np.concatenate(places)
        scores = self.of_vectors(query_E, self._passages.vectors[passages])
        return best_passages(self._passages.pages[passages], scores)

    def _products(self, queries_QE: Vectors) -> npt.NDArray[np.float32]:
        if self._vectors_VE.dtype == np.float32:
            return np.asarray(queries_QE @ self._vectors_VE.T, dtype=np.float32)
        scores = np.empty((len(queries_QE), len(self._vectors_VE)), dtype=np.float32)
        for begin in range(0, len(self._vectors_VE), ROWS_AT_ONCE):
            some = slice(begin, begin + ROWS_AT_ONCE)
            scores[:, some] = queries_QE @ self._vectors_VE[some].astype(np.float32).T
        return scores


def best_passages(pages: Rows, scores: Scores) -> RankedPages:
    """Pages by the best of their passages, whose pages and scores are given, in any order."""
    order = np.argsort(pages, kind="stable")
    rows, starts = np.unique(pages[order], return_index=True)
    return RankedPages(rows, np.maximum.reduceat(scores[order], starts) if len(rows) else scores)
