"""Weights that come in by schedule: nothing at first, then more and more with the training step.

A cost of each search that is there from the start is known to collapse what a policy finds (SAAS, arXiv 2605.29796),
so it should wait until the policy no longer finds more. The weight of a step depends on the steps before it alone: on
their numbers, and on the batch means of the score that is watched. So a run that is resumed goes on as if it had not
stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from pydantic import Field, field_validator

from drag_rl.config import Config
from reward.table import SCORES

Means = Mapping[int, float]
"""Training step -> mean of a score over its batch."""


class ScheduledWeight(Config):
    """The weight of a score, and when it comes in."""

    weight: float
    """Where it ends: any finite number, a negative one is a penalty."""
    from_step: int = Field(default=1, ge=1)
    """The step, counted from 1, before which it is 0 in any case."""
    until_plateau_of: str | None = "gold_found"
    """It stays 0 until the mean of this score no longer rises; null begins at ``from_step``."""
    window: int = Field(default=5, ge=1)
    """Steps of a mean, by which a plateau is told: it has come when the mean of the last so many steps is less than
    ``min_gain`` above that of as many steps before them."""
    min_gain: float = Field(default=0.01, ge=0)
    """What the watched score must gain from one window to the next, or it has a plateau."""
    ramp_steps: int = Field(default=20, ge=1)
    """Steps in which the weight rises from 0, all of them by the same."""

    @field_validator("weight")
    @classmethod
    def _finite(cls, weight: float) -> float:
        if not math.isfinite(weight):
            raise ValueError(f"is {weight}, but must be a finite number")
        return weight

    @field_validator("until_plateau_of")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in SCORES:
            raise ValueError(SCORES.unknown(name))
        return name


def weight_at(step: int, config: ScheduledWeight, means: Means) -> float:
    """The weight of a training step; ``means`` are those of the watched score, of which only earlier steps count.

    ``weight * min(1, (step - begin + 1) / ramp_steps)`` from the step ``begin`` on, else 0.

    >>> config = ScheduledWeight(weight=-0.2, from_step=3, until_plateau_of=None, ramp_steps=2)
    >>> [weight_at(step, config, {}) for step in (2, 3, 4, 5)]
    [0.0, -0.1, -0.2, -0.2]
    """
    begin = beginning(step, config, means)
    if begin is None:
        return 0.0
    return config.weight * min(1.0, (step - begin + 1) / config.ramp_steps)


def beginning(step: int, config: ScheduledWeight, means: Means) -> int | None:
    """The first step, at most ``step``, at which the weight is more than 0; None if that is yet to come.

    >>> config = ScheduledWeight(weight=-0.2, window=2)
    >>> beginning(9, config, dict(enumerate([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4], start=1)))
    8
    """
    if config.until_plateau_of is None:
        return config.from_step if config.from_step <= step else None
    return next(
        (begin for begin in range(config.from_step, step + 1) if _plateau_before(begin, config, means)), None
    )


def _plateau_before(step: int, config: ScheduledWeight, means: Means) -> bool:
    """Whether the windows that end before a step tell a plateau; no where a step in them is not known."""
    window = config.window
    earlier, later = range(step - 2 * window, step - window), range(step - window, step)
    if not all(number in means for number in (*earlier, *later)):
        return False
    gain = fmean(means[number] for number in later) - fmean(means[number] for number in earlier)
    return gain < config.min_gain
