"""Ways to put several rankings of pages together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from math import fsum
from typing import TypeVar

from drag_rl.protocol import CombineMethod

RRF_K = 60
"""What reciprocal rank fusion adds to each rank (Cormack, Clarke and Buettcher, SIGIR 2009)."""
Page = TypeVar("Page", bound=Hashable)
Scored = Sequence[tuple[Page, float]]
"""Ranked pages and their scores, best first, each page once. A page is its id, or its row: its place in page order."""

_PUT_TOGETHER: dict[CombineMethod, Callable[[Iterable[float]], float]] = {
    "rrf": fsum,  # not sum: what rankings come first must not matter
    "sum": fsum,
    "union": max,
    "intersection": min,
}


def combined_scores(
    rankings: Sequence[Scored[Page]],
    method: CombineMethod,
    *,
    weights: Sequence[float] = (),
    normalise: bool = False,
) -> dict[Page, float]:
    """The score of each page of several rankings.

    ``rrf``: ``sum of 1 / (60 + rank)`` over the rankings that hold the page. ``sum``: the sum of its scores. ``union``:
    the best of its scores. ``intersection``: pages that all rankings hold, by the worst of their scores.

    Args:
        rankings: Each as one retriever gives it, 1-based ranks in its order.
        method: How a page's ranks or scores become one score.
        weights: What each ranking's share is multiplied by; empty weighs all the same.
        normalise: Bring each ranking's scores to [0, 1] first, which scores of different scales need:
            ``(score - min) / (max - min)``, and 1 where all are equal. Ranks, which ``rrf`` reads, need it not.
    """
    shares = [
        {page: weight * share for page, share in _shares(ranking, method, normalise=normalise)}
        for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True)
    ]
    pages: set[Page] = set().union(*shares)
    if method == "intersection":
        pages.intersection_update(*shares)
    together = _PUT_TOGETHER[method]
    return {page: together([share[page] for share in shares if page in share]) for page in pages}


def combine(
    rankings: Sequence[Scored[int]],
    method: CombineMethod,
    *,
    weights: Sequence[float] = (),
    normalise: bool = False,
) -> list[tuple[int, float]]:
    """The (row, score) of the pages of several rankings, best first, pages of equal score in page order.

    See :func:`combined_scores`.

    >>> words, meaning = [(7, 9.0), (3, 5.0)], [(3, 0.8), (4, 0.1)]
    >>> [row for row, _ in combine([words, meaning], "rrf")]
    [3, 7, 4]
    >>> combine([words, meaning], "sum", normalise=True)
    [(3, 1.0), (7, 1.0), (4, 0.0)]
    >>> combine([words, meaning], "intersection")
    [(3, 0.8)]
    """
    scores = combined_scores(rankings, method, weights=weights, normalise=normalise)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))


def _shares(ranking: Scored[Page], method: CombineMethod, *, normalise: bool) -> Iterable[tuple[Page, float]]:
    """What a ranking says of each of its pages, before it is weighed."""
    if method == "rrf":
        return ((page, 1 / (RRF_K + rank)) for rank, (page, _) in enumerate(ranking, start=1))
    return _normalised(ranking) if normalise else ranking


def _normalised(ranking: Scored[Page]) -> Iterable[tuple[Page, float]]:
    """The scores of a ranking, the best as 1 and the worst as 0."""
    scores = [score for _, score in ranking]
    least = min(scores, default=0.0)
    width = max(scores, default=0.0) - least
    return ((page, (score - least) / width if width else 1.0) for page, score in ranking)
