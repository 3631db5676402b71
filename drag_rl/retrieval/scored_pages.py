"""Hits and exact ranks from the score of every page. Shape letter: D pages."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]


class ScoredPages:
    """The pages of a corpus by one query's scores, best first, equal scores in page order, without ties."""

    def __init__(self, scores_D: Scores, depth: int, *, floor: float = 0.0) -> None:
        """The scores of all pages in page order; pages that do not score above ``floor`` are not ranked.

        ``depth`` is how many of the best pages may be asked for, pages to leave out included.
        """
        self._scores_D = scores_D
        self._floor = floor
        self._best = top_rows(scores_D, depth, floor)

    def best(self, top_k: int, without: Collection[int] = ()) -> list[tuple[int, float]]:
        """The (row, score) of the best ``top_k`` pages, as if the rows of ``without`` were not there."""
        rows = [row for row in self._best if row not in without] if without else self._best
        return [(row, float(self._scores_D[row])) for row in rows[:top_k]]

    def rank(self, row: int, without: Collection[int] = ()) -> int | None:
        """The 1-based rank of a page, as if the rows of ``without`` were not there; None if it is not ranked."""
        if row in without:
            return None
        rank = rank_of(self._scores_D, row, self._floor)
        if rank is None:
            return None
        own = (-self._scores_D[row], row)
        return rank - sum(bool((-self._scores_D[other], other) < own) for other in without)


def top_rows(scores: Scores, top_k: int, floor: float = 0.0) -> list[int]:
    """The rows of the ``top_k`` best scores above ``floor``, best first, equal scores in row order.

    >>> top_rows(np.array([0.0, 2.0, 5.0, 2.0, 2.0], dtype=np.float32), 3)
    [2, 1, 3]
    """
    if top_k <= 0:
        return []
    if top_k < len(scores):
        least = np.partition(scores, -top_k)[-top_k]
        rows = np.flatnonzero((scores >= least) & (scores > floor))
    else:
        rows = np.flatnonzero(scores > floor)
    order = np.argsort(-scores[rows], kind="stable")
    best: list[int] = rows[order[:top_k]].tolist()
    return best


def rank_of(scores: Scores, row: int, floor: float = 0.0) -> int | None:
    """The 1-based rank of a row among all scores above ``floor``, equal scores in row order; None if it is below.

    >>> [rank_of(np.array([0.0, 2.0, 5.0, 2.0], dtype=np.float32), row) for row in range(4)]
    [None, 2, 1, 3]
    """
    score = scores[row]
    if not score > floor:
        return None
    return int(1 + np.count_nonzero(scores > score) + np.count_nonzero(scores[:row] == score))
