"""Weights that come in by schedule, in a training: the replay buffer knows the step, and sees each whole batch.

What was seen of the watched scores lies in a file beside the checkpoints, so that a run that is resumed at any
checkpoint has the weights that it would have had.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_write
from reward.schedule import ScheduledWeight, weight_at

FILE = "watched_scores.json"

Breakdown = Mapping[str, float]
"""Score -> its value for one rollout, unweighted."""


class Schedules:
    """The scheduled weights of a run."""

    def __init__(self, weights: Mapping[str, ScheduledWeight], folder: Path | None) -> None:
        """``folder`` keeps what was seen, made where need be; None keeps it in memory only.

        Raises InputError for a file of that name that is none of ours.
        """
        self.weights = dict(weights)
        watched = (weight.until_plateau_of for weight in weights.values())
        self._watched = tuple(dict.fromkeys(name for name in watched if name is not None))
        self._path = folder / FILE if folder is not None and self._watched else None
        self._means: dict[str, dict[int, float]] = {name: {} for name in self._watched}
        if self._path is not None and self._path.exists():
            self._means |= _read(self._path)

    def at(self, step: int) -> dict[str, float]:
        """The weight of each scheduled score at a training step."""
        return {
            name: weight_at(step, weight, self._means.get(weight.until_plateau_of or "", {}))
            for name, weight in self.weights.items()
        }

    def rewards(self, step: int, breakdowns: Sequence[Breakdown]) -> list[float]:
        """What the scheduled scores add to the reward of each rollout of a step.

        Raises InputError for a score that the reward manager does not report.
        """
        weights = self.at(step)
        return [sum(weight * _value(name, one) for name, weight in weights.items()) for one in breakdowns]

    def saw(self, step: int, breakdowns: Sequence[Breakdown]) -> None:
        """Keep the means of the watched scores over a step's batch; what a killed run saw of it is replaced."""
        if not breakdowns:
            return
        for name in self._watched:
            self._means[name][step] = fmean(_value(name, one) for one in breakdowns)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path) as file:
                json.dump(self._means, file)


def _value(name: str, breakdown: Breakdown) -> float:
    if name not in breakdown:
        raise InputError(
            f"drag.shaping.scheduled: {name!r} is not reported; give it a weight, which may be 0, in "
            "reward.custom_reward_function.reward_kwargs.weights"
        )
    return breakdown[name]


def _read(path: Path) -> dict[str, dict[int, float]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): {int(step): float(mean) for step, mean in means.items()}
            for name, means in found.items()
        }
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: is no record of watched scores ({error}); remove it to begin anew"
        ) from None
