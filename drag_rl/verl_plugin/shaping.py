"""What changes the rewards of a finished batch before the trainer sees it: credit by turn, and by group.

verl's reward loop scores one trajectory at a time and puts the score on the last token. Its replay buffer is the first
place where all rollouts of a question are together, and it is ours by configuration (``custom_sampler``), so no group
is ever waited for: PPO (groups of one) and validation pass unchanged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from pydantic import Field, field_validator

from drag_rl.config import Config
from drag_rl.types import Outcome
from reward.group import Distances, GroupConfig, distances_of, group_rewards
from reward.schedule import ScheduledWeight
from reward.table import SCORES
from reward.turn_credit import TurnCreditConfig, turn_credits


class ShapingConfig(Config):
    """``drag.shaping`` of configs/search.yaml."""

    turn_credit: TurnCreditConfig | None = None
    """Replaces the reward by credit for each turn, on the turn's last token; null pays the whole reward at the last
    token of the episode. Estimators that look at single tokens (PPO's gae, reinforce_plus_plus) use the place of a
    credit, GRPO only the sum."""
    group: GroupConfig = GroupConfig()
    """Diversity of a question's rollouts; a group of one keeps its reward."""
    scheduled: dict[str, ScheduledWeight] = Field(default={})
    """Weights that come in with the training step, by the names of scores, such as a cost of each search:
    ``{search_cost: {weight: -0.2}}``. They are paid at the last token of the episode, beside the reward."""

    @field_validator("scheduled")
    @classmethod
    def _known(cls, scheduled: dict[str, ScheduledWeight]) -> dict[str, ScheduledWeight]:
        for name in scheduled:
            if name not in SCORES:
                raise ValueError(SCORES.unknown(name))
        return scheduled

    @property
    def active(self) -> bool:
        """Whether anything changes."""
        return self.turn_credit is not None or self.group.combine != "off" or bool(self.scheduled)


def token_rewards(
    uids: Sequence[str],
    outcomes: Sequence[Outcome],
    rewards: Sequence[float],
    masks: Sequence[Sequence[int]],
    config: ShapingConfig,
    scheduled: Sequence[float] = (),
) -> list[list[float]]:
    """The reward of every response token of a batch, aligned with ``masks`` (1: written by the policy).

    Args:
        uids: The group of each trajectory.
        outcomes: The trace of each trajectory.
        rewards: What the reward manager gave to each trajectory.
        masks: The response mask of each trajectory; each run of ones is a turn.
        config: What to change.
        scheduled: What each trajectory is paid beside that, by scores whose weights come in by schedule.

    Raises:
        ValueError: A mask has another number of turns than its outcome.
    """
    rows = [
        _by_turn(outcome, mask, config.turn_credit) if config.turn_credit else _at_the_end(reward, mask)
        for outcome, reward, mask in zip(outcomes, rewards, masks, strict=True)
    ]
    for row, paid in zip(rows, scheduled, strict=False):
        row[-1] += paid
    groups = defaultdict(list)
    for position, uid in enumerate(uids):
        groups[uid].append(position)
    for members in groups.values():
        totals = [sum(rows[member]) for member in members]
        shaped = group_rewards(
            [outcomes[member] for member in members], totals, config.group, _distances(config.group)
        )
        for member, old, new in zip(members, totals, shaped, strict=True):
            rows[member][-1] += new - old
    return rows


@cache
def _distances(config: GroupConfig) -> Distances | None:
    """Made once, as it may load a model; None where no distance is needed."""
    return distances_of(config) if config.combine != "off" else None


def _at_the_end(reward: float, mask: Sequence[int]) -> list[float]:
    return [*[0.0] * (len(mask) - 1), reward]


def _by_turn(outcome: Outcome, mask: Sequence[int], config: TurnCreditConfig) -> list[float]:
    ends = [
        position
        for position, own in enumerate(mask)
        if own and (position + 1 == len(mask) or not mask[position + 1])
    ]
    credit = turn_credits(outcome, config)
    if len(ends) != len(credit):
        raise ValueError(f"a trajectory of {len(credit)} turns has {len(ends)} runs of policy tokens")
    row = [0.0] * len(mask)
    for end, value in zip(ends, credit, strict=True):
        row[end] = value
    return row
