"""Credit for the rank of the gold page: the task itself.

A question with several gold pages is scored by the one that ranks best (``reward.ranking`` counts them all). An episode
with several searches is scored by one of its searches, which the *variant* names.
"""

from __future__ import annotations

import math
from typing import Literal

from drag_rl.types import Outcome, best_rank, within

Variant = Literal["best", "first", "last"]
"""Which search of an episode counts."""

SEARCH_DISCOUNT = 0.9
"""In ``discounted_best`` each search before the one that finds multiplies its credit by this."""


def rank_score(rank: int | None, top_k: int) -> float:
    """Linear credit for the rank of the best gold page, in [0, 1].

    ``(top_k - rank + 1) / top_k`` for ``rank <= top_k``, else 0; ``None`` means not found.

    >>> [round(rank_score(rank, top_k=3), 2) for rank in (1, 2, 3, 4, None)]
    [1.0, 0.67, 0.33, 0.0, 0.0]
    """
    return (top_k - rank + 1) / top_k if within(rank, top_k) else 0.0


def deep_rank(rank: int | None) -> float:
    """Credit that never quite ends, in [0, 1]: ``1 / log2(1 + rank)``, the discount of DCG; ``None`` gives 0.

    Where every rollout of a group misses the top k, it still tells them apart (Järvelin and Kekäläinen 2002).

    >>> [round(deep_rank(rank), 2) for rank in (1, 2, 3, 100, None)]
    [1.0, 0.63, 0.5, 0.15, 0.0]
    """
    return 0.0 if rank is None else 1.0 / math.log2(1 + rank)


def reciprocal_rank(rank: int | None) -> float:
    """``1 / rank``, in [0, 1]; ``None`` gives 0. Its mean is MRR, its inverse the exact rank.

    >>> reciprocal_rank(4), reciprocal_rank(None)
    (0.25, 0.0)
    """
    return 0.0 if rank is None else 1.0 / rank


def hit_at(rank: int | None, cutoff: int) -> float:
    """1 if the gold page is among the first ``cutoff``, else 0.

    >>> hit_at(3, cutoff=3), hit_at(4, cutoff=3), hit_at(None, cutoff=3)
    (1.0, 0.0, 0.0)
    """
    return float(within(rank, cutoff))


def search_ranks(outcome: Outcome) -> tuple[int | None, ...]:
    """The exact 1-based rank of the best gold page in each search, in order; None where it has none."""
    return tuple(turn.gold_rank for turn in outcome.searches)


def gold_rank(outcome: Outcome, variant: Variant) -> int | None:
    """The exact 1-based rank of the best gold page in the best, first or last search; None without one."""
    ranks = search_ranks(outcome)
    chosen = {"best": ranks, "first": ranks[:1], "last": ranks[-1:]}
    return best_rank(chosen[effective(outcome, variant)])


def effective(outcome: Outcome, variant: Variant) -> Variant:
    """The variant that is used: ``best`` for ``last`` where the last search could no longer list what was found.

    With ``repeat_pages=false`` the searches of an episode continue one list. Once one has listed a gold page no later
    one can, and the last would be paid nothing for it; what is found stays found.
    """
    if variant == "last" and not outcome.config.repeat_pages:
        gold = set(outcome.question.gold_page_ids)
        if any(hit.page_id in gold for turn in outcome.searches[:-1] for hit in turn.hits):
            return "best"
    return variant


def discounted_best(outcome: Outcome) -> float:
    """The best rank score when each search before it costs, in [0, 1].

    ``max_i 0.9^i * rank_score(rank_i)`` over the searches ``i = 0, 1, ...``: a page that is found later is worth less,
    and searching on after the find costs nothing. 0 without a search.
    """
    return max(
        (
            SEARCH_DISCOUNT**position * rank_score(rank, outcome.config.top_k)
            for position, rank in enumerate(search_ranks(outcome))
        ),
        default=0.0,
    )


def improvement(outcome: Outcome) -> float:
    """How far refining came: ``deep_rank(best) - deep_rank(first)``, in [0, 1]; 0 with less than two searches.

    A policy raises it by a bad first search too, so it is no reward of its own: pair it with ``variant: first``.
    """
    return deep_rank(gold_rank(outcome, "best")) - deep_rank(gold_rank(outcome, "first"))
