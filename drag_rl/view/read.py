"""Trajectories from files: rows of ``drag collect`` and of a training run's dumps, told apart line by line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from drag_rl.errors import InputError
from drag_rl.trajectories.checked import check_outcome
from drag_rl.trajectories.rows import trajectory_from_row
from drag_rl.types import Outcome, Trajectory
from drag_rl.view.rollout import Rollout
from drag_rl.view.sources import WANTED, Source

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRow:
    """A line that the replay buffer wrote; see :mod:`drag_rl.verl_plugin.replay_buffer`."""

    uid: str
    sample: int
    step: int
    reward: float
    breakdown: dict[str, float]
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was read."""

    rollouts: tuple[Rollout, ...]
    total: int
    """How many trajectories the files hold."""
    notes: tuple[str, ...]
    """What was left out and why, a line each."""


_DUMP_ROW = TypeAdapter(DumpRow)


def read_rollouts(sources: Sequence[Source], limit: int) -> Selection:
    """The trajectories of some files, at most ``limit`` (0: all), in whole groups spread evenly over all of them.

    Raises ``InputError`` naming the file and line of a row that is no trajectory, or if there is none at all. A
    last line without an end that is no JSON is a write that was cut short, and is left out.
    """
    sizes: Counter[str] = Counter()
    notes: list[str] = []
    for source in sources:
        for row, where in _rows(source, notes):
            sizes[_group(row, source, where)] += 1
    total = sizes.total()
    if not total:
        raise InputError(f"{sources[0].path}: holds no trajectory; give {WANTED}")
    chosen = spread(sizes, limit)
    rollouts = tuple(
        _rollout(row, source, where)
        for source in sources
        for row, where in _rows(source, [])
        if _group(row, source, where) in chosen
    )
    if len(rollouts) < total:
        notes.append(f"{len(rollouts)} of {total} trajectories, spread evenly; --limit shows more")
    return Selection(rollouts=rollouts, total=total, notes=tuple(notes))


def spread(sizes: Counter[str], limit: int) -> frozenset[str]:
    """Groups, evenly spaced in their order, that hold at most ``limit`` members together; never none.

    >>> sorted(spread(Counter({"a": 4, "b": 4, "c": 4, "d": 4}), 8)), len(spread(Counter("ab"), 0))
    (['a', 'c'], 2)
    """
    names = list(sizes)
    if not limit or sizes.total() <= limit:
        return frozenset(names)
    count = max(1, limit * len(names) // sizes.total())
    chosen: list[str] = []
    room = limit
    for number in range(count):
        name = names[number * len(names) // count]
        if sizes[name] <= room or not chosen:
            chosen.append(name)
            room -= sizes[name]
    return frozenset(chosen)


def _rows(source: Source, notes: list[str]) -> Iterator[tuple[dict[str, Any], str]]:
    with source.path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            where = f"{source.path}, line {number}"
            if not raw.strip():
                continue
            try:
                line = raw.decode("utf-8-sig")
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                if not raw.endswith(b"\n") and number > 1:
                    notes.append(f"{source.path.name}: the last line was cut short and is left out")
                    return
                raise InputError(f"{where}: is no line of JSON ({_reason(error)}); give {WANTED}") from None
            if not isinstance(row, dict):
                raise InputError(f"{where}: is no JSON object; give {WANTED}")
            yield (_whole(row) if "\\ud" in line.lower() else row), where


def _group(row: dict[str, Any], source: Source, where: str) -> str:
    if "uid" in row and "outcome" in row:
        return f"{source.label}|{row.get('step')}|{row['uid']}"
    if "iterations" in row and "question_id" in row:
        return f"{source.label}||{row['question_id']}"
    if {"input", "output", "score"} <= row.keys():
        raise InputError(f"{where}: verl's own dump has no trace; give the .trajectories.jsonl beside it")
    raise InputError(f"{where}: is no trajectory; give {WANTED}")


def _rollout(row: dict[str, Any], source: Source, where: str) -> Rollout:
    try:
        if "outcome" in row:
            dump = _DUMP_ROW.validate_python(row)
            return Rollout(
                trajectory=Trajectory(outcome=check_outcome(dump.outcome), sample=dump.sample),
                source=source.label,
                group=_group(row, source, where),
                step=dump.step,
                reward=dump.reward,
                scores=dump.breakdown,
            )
        trajectory = trajectory_from_row(row)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise InputError(f"{where}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    except KeyError as error:
        raise InputError(f"{where}: is no trajectory, it has no {error}") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{where}: is no trajectory ({error})") from None
    question_id = trajectory.outcome.question.question_id
    return Rollout(
        trajectory=replace(trajectory, generated=source.answers.get((question_id, trajectory.sample))),
        source=source.label,
        group=_group(row, source, where),
        scores=source.scores.get(question_id, {}),
    )


def _whole(value: Any) -> Any:
    """The same JSON value with every lone surrogate, which no UTF-8 file can hold, as U+FFFD."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return value


def _reason(error: Exception) -> str:
    return "too deeply nested" if isinstance(error, RecursionError) else str(error)
