"""Scores at a cutoff of their own: ``ndcg@10`` or ``recall@100``, whatever ``top_k`` the policy is shown.

Wherever a score is named, ``NAME@K`` may stand, with a NAME of ``MEASURES`` and a whole number K, or ``k`` for
``top_k``. All are trec_eval's measures of the best, first or last search, from the exact ranks of the gold pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from drag_rl.errors import InputError
from drag_rl.tables import Table
from drag_rl.types import Outcome
from reward import ranking
from reward.rank import Variant
from reward.ranking import Measure

Score = Callable[[Outcome, Variant], float]
"""A finished episode, and which of its searches counts -> a number."""

MEASURES: Mapping[str, Callable[[Outcome], Measure]] = {
    "hit": lambda _: ranking.hit_in,
    "mrr": lambda _: ranking.reciprocal_rank_at,
    "ndcg": ranking.ndcg_of,
    "recall": lambda _: ranking.recall_at,
    "precision": lambda _: ranking.precision_at,
    "map": lambda _: ranking.average_precision,
}
"""Name before the @ -> the measure for an episode, which may depend on its question."""

_NAME = re.compile(r"([a-z]+)@(k|[1-9][0-9]{0,6})", re.ASCII)


class ScoreTable(Table[Score]):
    """A table of scores that also knows every ``NAME@K``, though it lists only those that are written in it."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and at_cutoff(name) is not None)

    def unknown(self, name: str) -> str:
        """What to say of a name that is no score."""
        return f"{super().unknown(name)}; or {' or '.join(MEASURES)} at a cutoff, such as ndcg@10"

    def _load(self, name: str) -> Score:
        score = None if super().__contains__(name) else at_cutoff(name)
        return score or super()._load(name)


def at_cutoff(name: str) -> Score | None:
    """The score that ``NAME@K`` names; None for any other name.

    >>> at_cutoff("ndcg@0"), at_cutoff("ndcg"), at_cutoff("f1@3")
    (None, None, None)
    """
    parts = _NAME.fullmatch(name)
    if not parts or parts[1] not in MEASURES:
        return None
    cutoff = None if parts[2] == "k" else int(parts[2])
    return partial(_score_at, name, MEASURES[parts[1]], cutoff)


def _score_at(
    name: str,
    measure: Callable[[Outcome], Measure],
    cutoff: int | None,
    outcome: Outcome,
    variant: Variant,
) -> float:
    """Raises InputError where an index does not rank down to the cutoff, and a gold page may be anywhere below."""
    for turn in outcome.searches:
        bound = turn.exact_to
        if cutoff and bound is not None and cutoff > bound and None in turn.gold_ranks:
            raise InputError(
                f"score {name!r}: this index ranks pages down to {bound} only, so it is not known; take a "
                "smaller cutoff, or an index that ranks deeper"
            )
    return ranking.of_searches(measure(outcome), outcome, variant, cutoff)
