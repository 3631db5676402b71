"""What a report shows: a trajectory with what is known about its training step and reward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from drag_rl.types import StopReason, Trajectory
from reward.rank import rank_score
from reward.table import ANSWER_SCORES

ADVANTAGE_EPSILON = 1e-6
"""verl's, in GRPO's normalisation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One trajectory and where it came from."""

    trajectory: Trajectory
    source: str
    """What the reader calls the input that it came from."""
    group: str
    """Rollouts of one question in one batch share it; unique among all sources."""
    step: int | None = None
    """Training step; None outside of training."""
    reward: float | None = None
    """What trained; None outside of training."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """The reward's breakdown, or the metrics of an evaluation, by name."""

    @property
    def best_rank(self) -> int | None:
        """The best exact rank of a gold page over all searches; None if none was ever ranked."""
        return self.trajectory.outcome.best_gold_rank

    @property
    def found(self) -> bool:
        """Whether a gold page was among the hits of some search."""
        return self.trajectory.outcome.solved

    @property
    def value(self) -> float:
        """The reward; the rank score of the best search where there is none."""
        if self.reward is not None:
            return self.reward
        return rank_score(self.best_rank, self.trajectory.outcome.config.top_k)

    @property
    def applicable_scores(self) -> Mapping[str, float]:
        """The scores that say something: without those of answers where none was asked for."""
        asked = self.trajectory.outcome.answer_asked
        return {name: value for name, value in self.scores.items() if asked or name not in ANSWER_SCORES}

    @property
    def ends(self) -> tuple[str, ...]:
        """Its stop reason, and ``malformed`` if any message was no action."""
        outcome = self.trajectory.outcome
        reasons = [outcome.stop_reason.value, *([StopReason.MALFORMED.value] if outcome.malformed else [])]
        return tuple(dict.fromkeys(reasons))


def advantages(values: Sequence[float]) -> list[float | None]:
    """``(value - mean) / (std + 1e-6)`` in a group, std with n - 1, as GRPO has it; None for a group of one.

    >>> [round(advantage, 3) for advantage in advantages([0.0, 0.0, 1.0, 1.0])]
    [-0.866, -0.866, 0.866, 0.866]
    >>> advantages([0.5, 0.5]), advantages([1.0])
    ([0.0, 0.0], [None])
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return [None] * len(values)
    mean, deviation = fmean(values), stdev(values)
    return [(value - mean) / (deviation + ADVANTAGE_EPSILON) for value in values]
