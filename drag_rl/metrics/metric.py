"""What a metric is: how one number is measured, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from drag_rl.types import Trajectory

Of = Callable[[Trajectory], float]
"""Measures a trajectory; NaN where the metric does not apply to it."""
OfGroup = Callable[[Sequence[Trajectory]], float]
"""Measures the trajectories of one question; NaN where the metric does not apply to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """How to read one number."""

    name: str
    """Its key in results."""
    label: str
    """Its name in tables."""
    unit: Literal["share", "score", "number"]
    better: Literal["higher", "lower"]
    meaning: str
    """One line; where it does not apply to every question, it says to which."""
    of: Of | None = None
    """Measures one trajectory; None for what is measured otherwise."""
    of_group: OfGroup | None = None
    """Measures all trajectories of a question together, each of which then has this value. The measures of rankings,
    which the library takes of many at once, have neither."""


def share(name: str, label: str, meaning: str, of: Of | None = None) -> Metric:
    """A share in [0, 1], of which more is better."""
    return Metric(name=name, label=label, unit="share", better="higher", meaning=meaning, of=of)


def score(name: str, label: str, meaning: str, of: Of | None = None) -> Metric:
    """A score in [0, 1], of which more is better."""
    return Metric(name=name, label=label, unit="score", better="higher", meaning=meaning, of=of)


def variety(name: str, label: str, meaning: str, of_group: OfGroup) -> Metric:
    """A score in [0, 1] of all episodes of a question together."""
    return Metric(name=name, label=label, unit="score", better="higher", meaning=meaning, of_group=of_group)


def cost(
    name: str, label: str, meaning: str, of: Of, unit: Literal["share", "score", "number"] = "number"
) -> Metric:
    """What an episode takes, of which less is better."""
    return Metric(name=name, label=label, unit=unit, better="lower", meaning=meaning, of=of)
