"""Credit for all gold pages of a question: the measures of ranked retrieval, from the exact ranks.

Each function takes the 1-based ranks of a question's gold pages in one search, None for a page that the search does not
rank, and equals trec_eval's measure of that search with binary relevance. The *variant* says which search of an episode
counts; "best" takes the maximum over the searches, for each measure by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from drag_rl.types import Outcome, within
from reward.rank import Variant, effective

Ranks = tuple[int | None, ...]
"""1-based ranks of a question's gold pages in one search; None for a page that the search does not rank."""
Measure = Callable[[Ranks, int], float]
"""Ranks of the gold pages, and a cutoff -> a score in [0, 1]."""


def ndcg_at(ranks: Ranks, cutoff: int) -> float:
    """Normalised discounted cumulative gain, in [0, 1] (Järvelin and Kekäläinen 2002).

    ``sum of 1 / log2(1 + rank)`` over gold pages within the cutoff, over the sum of the best possible ranking.

    >>> [round(ndcg_at(ranks, 3), 3) for ranks in ((1, 2), (2, None), (4, 5), (None, None))]
    [1.0, 0.387, 0.0, 0.0]
    """
    ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(len(ranks), cutoff) + 1))
    return (
        min(1.0, sum(1 / math.log2(1 + rank) for rank in ranks_within(ranks, cutoff)) / ideal)
        if ideal
        else 0.0
    )


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


def average_precision(ranks: Ranks, _cutoff: int = 0) -> float:
    """The mean over gold pages of the precision at their rank, in [0, 1], over the whole corpus.

    A page without a rank counts 0.

    >>> average_precision((1, 4)), average_precision((2, None))
    (0.75, 0.25)
    """
    found = sorted(rank for rank in ranks if rank is not None)
    return sum(number / rank for number, rank in enumerate(found, start=1)) / len(ranks) if ranks else 0.0


def of_searches(measure: Measure, outcome: Outcome, variant: Variant) -> float:
    """A measure at ``top_k`` of the best, first or last search; 0 without a search."""
    values = [measure(turn.gold_ranks, outcome.config.top_k) for turn in outcome.searches]
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
