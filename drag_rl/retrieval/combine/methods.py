"""Ways to put several rankings of pages together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import fsum

from drag_rl.protocol import CombineMethod

RRF_K = 60
"""What reciprocal rank fusion adds to each rank (Cormack, Clarke and Buettcher, SIGIR 2009)."""
Scored = Sequence[tuple[int, float]]
"""The (row, score) of ranked pages, best first, each page once; a row is a place in page order."""

_PUT_TOGETHER: dict[CombineMethod, Callable[[Iterable[float]], float]] = {
    "rrf": fsum,  # not sum: what rankings come first must not matter
    "sum": fsum,
    "union": max,
    "intersection": min,
}


def combine(
    rankings: Sequence[Scored],
    method: CombineMethod,
    *,
    weights: Sequence[float] = (),
    normalise: bool = False,
) -> list[tuple[int, float]]:
    """The (row, score) of the pages of several rankings, best first, pages of equal score in page order.

    ``rrf``: ``sum of 1 / (60 + rank)`` over the rankings that hold the page. ``sum``: the sum of its scores. ``union``:
    the best of its scores. ``intersection``: pages that all rankings hold, by the worst of their scores.

    Args:
        rankings: Each as one retriever gives it, 1-based ranks in its order.
        method: How a page's ranks or scores become one score.
        weights: What each ranking's share is multiplied by; empty weighs all the same.
        normalise: Bring each ranking's scores to [0, 1] first, which scores of different scales need:
            ``(score - min) / (max - min)``, and 1 where all are equal. Ranks, which ``rrf`` reads, need it not.

    >>> words, meaning = [(7, 9.0), (3, 5.0)], [(3, 0.8), (4, 0.1)]
    >>> [row for row, _ in combine([words, meaning], "rrf")]
    [3, 7, 4]
    >>> combine([words, meaning], "sum", normalise=True)
    [(3, 1.0), (7, 1.0), (4, 0.0)]
    >>> combine([words, meaning], "intersection")
    [(3, 0.8)]
    """
    shares = [
        {row: weight * share for row, share in _shares(ranking, method, normalise=normalise)}
        for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True)
    ]
    in_all = method == "intersection" and bool(shares)
    rows = set(shares[0]).intersection(*shares[1:]) if in_all else set().union(*shares)
    together = _PUT_TOGETHER[method]
    scores = {row: together(share[row] for share in shares if row in share) for row in rows}
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))


def _shares(ranking: Scored, method: CombineMethod, *, normalise: bool) -> Iterable[tuple[int, float]]:
    """What a ranking says of each of its pages, before it is weighed."""
    if method == "rrf":
        return ((row, 1 / (RRF_K + rank)) for rank, (row, _) in enumerate(ranking, start=1))
    return _normalised(ranking) if normalise else ranking


def _normalised(ranking: Scored) -> Iterable[tuple[int, float]]:
    """The scores of a ranking, the best as 1 and the worst as 0."""
    scores = [score for _, score in ranking]
    least = min(scores, default=0.0)
    width = max(scores, default=0.0) - least
    return ((row, (score - least) / width if width else 1.0) for row, score in ranking)
