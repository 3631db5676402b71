"""Credit by turn: one number for each turn, paid at the last token of that turn.

Nothing is subtracted from a credit here: baselines are verl's, and what matters about them is that the policy itself
decides when an episode ends. A baseline that adds up a mean for every turn that a rollout took depends on that
decision, and so biases the gradient by what further turns earn on average (verl's issue 7244, of MT-GRPO's
normalisation by turn). verl's estimators, given these credits, subtract one number that was fixed before the token:

- ``gae`` (PPO), for ``lam: 1``: the sum of the credits from a token on, less the critic's value of the state, however
  wrong that is; with ``lam < 1`` a wrong value biases it, as always.
- ``reinforce_plus_plus``: that sum, less its mean over the batch.
- ``grpo`` and its kin: all tokens are paid the whole sum, less the mean of the group. The place of a credit makes no
  difference; its weight does.

So the expected gradient is that of the expected sum of credits, up to its length and to terms that vanish with the size
of the batch (a rollout is part of the means that it is compared with; GRPO's division by each group's deviation weighs
questions, for any reward). The two gains sum to the credit of the best search, so by themselves they move credit to
where it is earned without changing what is optimal. It holds for ``loss_agg_mode: token-mean``, verl's default;
``seq-mean-token-mean`` divides by a length that the policy chooses. ``tests/verl_plugin/test_turn_credit_bias.py``
enumerates all episodes of a small world and finds just this, whether the policy ends them by an answer or by saying
that it has enough, paid for gold at the stop and charged for searches.
"""

from __future__ import annotations

import math

from pydantic import Field, field_validator

from drag_rl.config import Config
from drag_rl.types import Outcome
from reward.steps import TURN_SCORES


class TurnCreditConfig(Config):
    """How per-turn scores become credit."""

    weights: dict[str, float] = Field(
        default={
            "rank_score_gain": 0.5,
            "deep_rank_gain": 0.5,
            "over_search": -0.05,
            "duplicate_query": -0.05,
        }
    )
    """Weight of each score by its name in ``TURN_SCORES``; any finite number, a negative one is a penalty. The two
    gains sum over an episode to half the rank score and half the deep rank of its best search."""

    @field_validator("weights")
    @classmethod
    def _known_and_finite(cls, weights: dict[str, float]) -> dict[str, float]:
        for name, weight in weights.items():
            if name not in TURN_SCORES:
                raise ValueError(TURN_SCORES.unknown(name))
            if not math.isfinite(weight):
                raise ValueError(f"the weight of {name!r} is {weight}, but must be a finite number")
        return weights


def turn_credits(outcome: Outcome, config: TurnCreditConfig) -> tuple[float, ...]:
    """The weighted sum of the per-turn scores, aligned with ``outcome.turns``."""
    credit = [0.0] * len(outcome.turns)
    for name, weight in config.weights.items():
        if weight:
            for position, value in enumerate(TURN_SCORES[name](outcome)):
                credit[position] += weight * value
    return tuple(credit)
