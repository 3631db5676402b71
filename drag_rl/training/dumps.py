"""Means and changes by step, from the ``<step>.trajectories.jsonl`` files that GRPO and PPO write."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from drag_rl.errors import InputError

Curve = Mapping[int, Mapping[str, float]]
"""Step -> name -> mean; ``n`` is the number of trajectories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What is read of one trajectory of a file."""

    question_id: str
    values: Mapping[str, float]
    """The reward and its breakdown by name; scores that do not apply are left out."""


def read_steps(folder: Path) -> dict[int, list[Rollout]]:
    """Every step of a folder of ``<step>.trajectories.jsonl`` files, by step; a step without a line is left out.

    Raises:
        InputError: A line is not a trajectory; names file and line. A last line without an end is a write that was
            cut short and is left out.
    """
    steps = {}
    for path in sorted(folder.glob("*.trajectories.jsonl"), key=lambda path: int(path.name.split(".")[0])):
        rollouts = []
        # JSON lines end with \n alone: str.splitlines would cut at the other separators of Unicode too.
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            if not line:
                continue
            try:
                row = json.loads(line)
                named = {"reward": row["reward"], **row["breakdown"]}
                values = {name: float(value) for name, value in named.items() if value is not None}
                rollouts.append(Rollout(question_id=row["outcome"]["question"]["question_id"], values=values))
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: not a trajectory ({error})") from error
        if rollouts:
            steps[int(path.name.split(".")[0])] = rollouts
    return steps


def means(steps: Mapping[int, list[Rollout]]) -> dict[int, dict[str, float]]:
    """The mean of each value over the trajectories of a step, by step."""
    curve = {}
    for step, rollouts in steps.items():
        columns: dict[str, list[float]] = defaultdict(list)
        for rollout in rollouts:
            for name, value in rollout.values.items():
                columns[name].append(value)
        curve[step] = {name: fmean(values) for name, values in columns.items()} | {"n": len(rollouts)}
    return curve


def read_curve(folder: Path) -> dict[int, dict[str, float]]:
    """The means of every step in a folder of dumps; raises as ``read_steps``."""
    return means(read_steps(folder))


def changes(steps: Mapping[int, list[Rollout]], name: str) -> dict[int, tuple[float, float]]:
    """How a value has changed since the first step, on the same questions: step -> (mean change, half of its interval).

    A question's value is the mean of its samples; the 95 % interval is that of a paired difference over Q questions by
    the normal approximation, ``1.96 sd / sqrt(Q)``. Steps that share fewer than two questions with the first are left
    out, so training batches, which ask others each time, have none.
    """
    if not steps:
        return {}
    first, *later = sorted(steps)
    base = _by_question(steps[first], name)
    found = {}
    for step in later:
        now = _by_question(steps[step], name)
        differences = [now[question] - base[question] for question in base.keys() & now.keys()]
        if len(differences) > 1:
            found[step] = (fmean(differences), 1.96 * stdev(differences) / sqrt(len(differences)))
    return found


def _by_question(rollouts: list[Rollout], name: str) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        if name in rollout.values:
            values[rollout.question_id].append(rollout.values[name])
    return {question: fmean(samples) for question, samples in values.items()}
