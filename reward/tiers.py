"""DeepRetrieval's stepwise reward: recall in tiers, far apart (Jiang et al. 2025, arXiv 2503.00223).

Unlike every other score this one is not in [0, 1] but in [-4, 5], as published: choose its weight accordingly.
"""

from __future__ import annotations

from drag_rl.types import Outcome
from reward.rank import Variant
from reward.ranking import of_searches, recall_at

TIERS: tuple[tuple[float, float], ...] = (
    (0.7, 5.0),
    (0.5, 4.0),
    (0.4, 3.0),
    (0.3, 1.0),
    (0.1, 0.5),
    (0.05, 0.1),
)
"""Least recall of a tier -> its reward, best first."""
BELOW_TIERS = -3.5
"""The reward of a recall below every tier."""
FORMAT_ERROR = -4.0
"""The reward of an episode with a malformed message, or without a search."""


def tier_of(recall: float) -> float:
    """The reward of a recall, in [-3.5, 5].

    >>> [tier_of(recall) for recall in (1.0, 0.7, 0.69, 0.5, 0.4, 0.3, 0.1, 0.05, 0.049)]
    [5.0, 5.0, 4.0, 4.0, 3.0, 1.0, 0.5, 0.1, -3.5]
    """
    return next((reward for least, reward in TIERS if recall >= least), BELOW_TIERS)


def tiered_recall(outcome: Outcome, variant: Variant) -> float:
    """The tier of recall@k of the best, first or last search, in [-4, 5].

    -4 is the format error: an episode with a malformed message, or without a search.
    """
    if not outcome.searches or outcome.malformed:
        return FORMAT_ERROR
    return tier_of(of_searches(recall_at, outcome, variant))
