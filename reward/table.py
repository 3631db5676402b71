"""All scores, and how a reward is made of them.

A new score is a function in a file here and a line in ``SCORES``; an installed package adds one by an entry point in
the group ``drag_rl.scores``. Nothing else changes: training, ``drag score`` and the reports read the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from drag_rl.config import Config
from drag_rl.types import Outcome
from reward import answer, ranking, search_r1, steps, stopping
from reward.citations import citation_f1
from reward.cost import query_length
from reward.counts import counts
from reward.cutoffs import ScoreTable
from reward.format import format_score, one_action, think_language
from reward.rank import (
    Variant,
    deep_rank,
    discounted_best,
    gold_rank,
    hit_at,
    improvement,
    rank_score,
    reciprocal_rank,
)
from reward.ranking import of_searches
from reward.steps import share_of_searches
from reward.tiers import FORMAT_ERROR, TIERS, tiered_recall

SCORES = ScoreTable(
    "score",
    {
        # where the best gold page ranks
        "rank_score": lambda outcome, variant: rank_score(gold_rank(outcome, variant), outcome.config.top_k),
        "deep_rank": lambda outcome, variant: deep_rank(gold_rank(outcome, variant)),
        "reciprocal_rank": lambda outcome, variant: reciprocal_rank(gold_rank(outcome, variant)),
        "hit@1": lambda outcome, variant: hit_at(gold_rank(outcome, variant), 1),
        "hit@k": lambda outcome, variant: hit_at(gold_rank(outcome, variant), outcome.config.top_k),
        "discounted_best": lambda outcome, _: discounted_best(outcome),
        "improvement": lambda outcome, _: improvement(outcome),
        # where all gold pages rank
        "ndcg@k": lambda outcome, variant: of_searches(ranking.ndcg_of(outcome), outcome, variant),
        "recall@k": lambda outcome, variant: of_searches(ranking.recall_at, outcome, variant),
        "precision@k": lambda outcome, variant: of_searches(ranking.precision_at, outcome, variant),
        "average_precision": lambda outcome, variant: of_searches(
            lambda ranks, _: ranking.average_precision(ranks), outcome, variant
        ),
        "gold_found": lambda outcome, _: ranking.gold_found(outcome),
        "tiered_recall": tiered_recall,
        # the answer and its evidence
        "exact_match": lambda outcome, _: answer.exact_match(outcome),
        "token_f1": lambda outcome, _: answer.token_f1(outcome),
        "anls": lambda outcome, _: answer.anls(outcome),
        "answer_in_context": lambda outcome, _: answer.answer_in_context(outcome),
        "search_r1_em": lambda outcome, _: search_r1.search_r1_em(outcome),
        "search_r1_f1": lambda outcome, _: search_r1.search_r1_f1(outcome),
        "citation_f1": lambda outcome, _: citation_f1(outcome),
        # single steps; the first three are faults and want a negative weight
        "over_search": lambda outcome, _: share_of_searches(outcome, steps.over_search(outcome)),
        "under_search": lambda outcome, _: max(steps.under_search(outcome), default=0.0),
        "duplicate_query": lambda outcome, _: share_of_searches(outcome, steps.duplicate_query(outcome)),
        "novelty": lambda outcome, _: share_of_searches(outcome, steps.novelty(outcome)),
        # knowing when to stop; search_cost is a cost and wants a negative weight that comes in by schedule
        "gold_at_stop": lambda outcome, _: stopping.gold_at_stop(outcome),
        "kept_f1": lambda outcome, _: stopping.kept_f1(outcome),
        "search_cost": lambda outcome, _: stopping.search_cost(outcome),
        # form; query_length is a cost and wants a negative weight
        "format": lambda outcome, _: format_score(outcome),
        "one_action": lambda outcome, _: one_action(outcome),
        "think_language": lambda outcome, _: think_language(outcome),
        "query_length": lambda outcome, _: query_length(outcome),
    },
    group="drag_rl.scores",
)
"""Name -> pure score of an episode, in [0, 1] unless ``BOUNDS`` says otherwise. It knows ``NAME@K`` too, see
:mod:`reward.cutoffs`."""

ANSWER_SCORES = frozenset(
    {"exact_match", "token_f1", "anls", "search_r1_em", "search_r1_f1", "citation_f1", "answered"}
)
"""Scores and counts of the answer. They are 0 where no answer was asked for, so reports leave them out there."""

BOUNDS: Mapping[str, tuple[float, float]] = dict.fromkeys(SCORES, (0.0, 1.0)) | {
    "tiered_recall": (FORMAT_ERROR, TIERS[0][1])
}
"""Name -> least and greatest value."""


def _known_and_finite(weights: dict[str, float]) -> dict[str, float]:
    for name, weight in weights.items():
        if name not in SCORES:
            raise ValueError(SCORES.unknown(name))
        if not math.isfinite(weight):
            raise ValueError(f"the weight of {name!r} is {weight}, but must be a finite number")
    if not weights:
        raise ValueError(f"no score has a weight; known scores: {', '.join(SCORES)}")
    return weights


Weights = Annotated[dict[str, float], AfterValidator(_known_and_finite)]


class SourceReward(Config):
    """The reward of the questions of one source: what stands here takes the place of the general reward's."""

    weights: Weights
    """Weight of each score by its name; a score without a weight here has none, whatever the general reward says."""
    variant: Variant | None = None
    """Which search of the episode the rank scores read; null for that of the general reward."""


class RewardConfig(Config):
    """How scores become a reward."""

    weights: Weights = Field(default={"rank_score": 0.5, "deep_rank": 0.5, "query_length": -0.1})
    """Weight of each score by its name in ``SCORES``; any finite number, a negative one is a penalty. One of 0 changes
    nothing, but has a ``NAME@K`` reported."""
    variant: Variant = "best"
    """Which search of the episode the rank scores read: the best, the first or the last."""
    by_source: dict[str, SourceReward] = Field(default={})
    """Rewards of their own for questions by their ``data_source``; that of all other questions stands above."""

    def of(self, data_source: str) -> tuple[Mapping[str, float], Variant]:
        """The weights and the variant for questions of a source."""
        own = self.by_source.get(data_source)
        return (own.weights, own.variant or self.variant) if own else (self.weights, self.variant)

    @property
    def names(self) -> tuple[str, ...]:
        """The scores of every breakdown: those of ``SCORES``, then each ``NAME@K`` that has a weight anywhere."""
        weighted = (self.weights, *(own.weights for own in self.by_source.values()))
        return tuple(dict.fromkeys([*SCORES, *(name for weights in weighted for name in weights)]))


def compute_reward(outcome: Outcome, config: RewardConfig) -> tuple[float, dict[str, float]]:
    """The weighted sum of scores, and the breakdown: every unweighted score and count.

    The keys of the breakdown depend on the configuration only, not on the question or its source. Besides scores and
    counts it has ``gold_rank``, the exact rank of the best gold page. A page that was not found counts as the last of
    the corpus, so that the mean over episodes is defined.
    """
    weights, variant = config.of(outcome.question.data_source)
    scores = {name: float(SCORES[name](outcome, variant)) for name in config.names}
    reward = sum(weight * scores[name] for name, weight in weights.items())
    rank = float(gold_rank(outcome, variant) or outcome.corpus_pages)
    return reward, {**scores, "gold_rank": rank, **counts(outcome)}
