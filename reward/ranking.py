"""Credit for all gold pages of a question: the measures of ranked retrieval, from the exact ranks.

Each function takes the 1-based ranks of a question's gold pages in one search, None for a page that the search does not
rank, and equals trec_eval's measure of that search. Where gold pages are graded, nDCG pays for the grades; to all other
measures a page is relevant or not. The *variant* says which search of an episode counts; "best" takes the maximum over
the searches, for each measure by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from drag_rl.types import Outcome, within
from reward.rank import Variant, effective

Ranks = tuple[int | None, ...]
"""1-based ranks of a question's gold pages in one search; None for a page that the search does not rank."""
Measure = Callable[[Ranks, int], float]
"""Ranks of the gold pages, and a cutoff -> a score in [0, 1]."""


def ndcg_at(ranks: Ranks, cutoff: int, grades: Sequence[int] = ()) -> float:
    """Normalised discounted cumulative gain, in [0, 1] (Järvelin and Kekäläinen 2002), as trec_eval's ``ndcg_cut``.

    ``sum of grade / log2(1 + rank)`` over gold pages within the cutoff, over the sum of the best possible ranking. The
    gain of a page is its grade itself, not ``2^grade - 1`` as in some libraries. ``grades`` are aligned with ``ranks``;
    without any, all are 1.

    >>> [round(ndcg_at(ranks, 3), 3) for ranks in ((1, 2), (2, None), (4, 5), (None, None))]
    [1.0, 0.387, 0.0, 0.0]
    >>> round(ndcg_at((2, 1), 3, grades=(2, 1)), 3)
    0.86
    """
    gains = grades or (1,) * len(ranks)
    best = sorted(gains, reverse=True)[:cutoff]
    ideal = sum(gain / math.log2(1 + rank) for rank, gain in enumerate(best, start=1))
    found = sum(
        gain / math.log2(1 + rank) for rank, gain in zip(ranks, gains, strict=True) if within(rank, cutoff)
    )
    return min(1.0, found / ideal) if ideal else 0.0


def recall_at(ranks: Ranks, cutoff: int) -> float:
    """The share of the gold pages within the cutoff, in [0, 1].

    >>> recall_at((1, 9), 3)
    0.5
    """
    return len(ranks_within(ranks, cutoff)) / len(ranks) if ranks else 0.0


def precision_at(ranks: Ranks, cutoff: int) -> float:
    """The share of the first ``cutoff`` places that gold pages hold, in [0, 1]; 1 needs ``cutoff`` gold pages.

    >>> precision_at((1, 2, 9), 4)
    0.5
    """
    return len(ranks_within(ranks, cutoff)) / cutoff


def average_precision(ranks: Ranks, cutoff: int | None = None) -> float:
    """The mean over gold pages of the precision at their rank, in [0, 1], over the whole corpus or down to a cutoff.

    A page without a rank, or below the cutoff, counts 0.

    >>> average_precision((1, 4)), average_precision((2, None)), average_precision((1, 4), 3)
    (0.75, 0.25, 0.5)
    """
    found = sorted(rank for rank in ranks if rank is not None and (cutoff is None or rank <= cutoff))
    return sum(number / rank for number, rank in enumerate(found, start=1)) / len(ranks) if ranks else 0.0


def hit_in(ranks: Ranks, cutoff: int) -> float:
    """1 if a gold page is within the cutoff, else 0.

    >>> hit_in((None, 3), 3), hit_in((None, 4), 3)
    (1.0, 0.0)
    """
    return float(bool(ranks_within(ranks, cutoff)))


def reciprocal_rank_at(ranks: Ranks, cutoff: int) -> float:
    """``1 / rank`` of the best gold page, in [0, 1]; 0 if none is within the cutoff.

    >>> reciprocal_rank_at((4, 2), 3), reciprocal_rank_at((4,), 3)
    (0.5, 0.0)
    """
    return 1 / min(ranks_within(ranks, cutoff), default=math.inf)


def ndcg_of(outcome: Outcome) -> Measure:
    """nDCG with the grades of the episode's gold pages."""
    return partial(ndcg_at, grades=outcome.question.gold_grades)


def of_searches(measure: Measure, outcome: Outcome, variant: Variant, cutoff: int | None = None) -> float:
    """A measure of the best, first or last search at a cutoff, ``top_k`` if it is None; 0 without a search."""
    at = cutoff or outcome.config.top_k
    values = [measure(turn.gold_ranks, at) for turn in outcome.searches]
    if not values:
        return 0.0
    return {"best": max(values), "first": values[0], "last": values[-1]}[effective(outcome, variant)]


def gold_found(outcome: Outcome) -> float:
    """The share of the gold pages that some search had in its top k, in [0, 1]: recall over the whole episode."""
    found = {
        position
        for turn in outcome.searches
        for position, rank in enumerate(turn.gold_ranks)
        if within(rank, outcome.config.top_k)
    }
    return len(found) / len(outcome.question.gold_page_ids)


def ranks_within(ranks: Ranks, cutoff: int) -> list[int]:
    """The ranks that are no worse than the cutoff."""
    return [rank for rank in ranks if within(rank, cutoff)]
