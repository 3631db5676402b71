"""Score finished trajectories from disk: what a reward would have paid them, and how much it could have taught.

GRPO learns from the differences within a group, so beside its mean each score has the share of groups in which all
rollouts are equal under it: from those nothing can be learnt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from drag_rl.errors import InputError
from drag_rl.files.folders import claim_file
from drag_rl.files.manifest import atomic_path, sha256_file, write_manifest
from drag_rl.files.outputs import refuse_overlap
from drag_rl.trajectories.checked import check_outcome
from drag_rl.trajectories.rows import errors_named, read_lines, trajectory_from_row
from drag_rl.types import Outcome
from reward.table import RewardConfig, compute_reward

STAGE = "score"
EQUAL = 1e-9
"""Scores that differ by less are equal."""
_OUTCOME = TypeAdapter(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreStats:
    """One score over all trajectories."""

    mean: float
    std: float
    """Population standard deviation."""
    zero_variance: float | None
    """Share of the groups of two or more in which all scores are equal; None without such a group."""


@dataclass(slots=True)
class _Sums:
    """Running sums of one score."""

    total: float = 0.0
    squares: float = 0.0
    count: int = 0
    groups: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    """Group -> least score, greatest score, rollouts."""

    def add(self, group: str, value: float) -> None:
        self.total += value
        self.squares += value * value
        self.count += 1
        least, greatest, rollouts = self.groups.get(group, (value, value, 0))
        self.groups[group] = min(least, value), max(greatest, value), rollouts + 1

    def stats(self) -> ScoreStats:
        mean = self.total / self.count
        flat = [
            greatest - least < EQUAL for least, greatest, rollouts in self.groups.values() if rollouts > 1
        ]
        return ScoreStats(
            mean=mean,
            std=math.sqrt(max(0.0, self.squares / self.count - mean * mean)),
            zero_variance=sum(flat) / len(flat) if flat else None,
        )


def score_files(
    inputs: Sequence[Path], output: Path, config: RewardConfig
) -> tuple[int, dict[str, ScoreStats]]:
    """Score the trajectories of ``inputs``, files of ``drag collect`` or dumps of a training run, one at a time.

    Writes a line each to ``output`` (``id``, ``question_id``, ``group``, ``reward`` and the unweighted ``scores``), the
    whole file or nothing. Returns how many there were, and the statistics of ``reward`` and of each score. Rollouts of
    one question in one file and step are a group.
    Raises InputError naming the file and line of a row that is no trajectory, and for an ``output`` that is there
    already and was not made by ``drag score``.
    """
    refuse_overlap({"--output": output}, {"--input": inputs})
    claim_file(output, STAGE, "--output")
    sums: dict[str, _Sums] = {}
    count = 0
    with atomic_path(output) as written:
        with written.open("w", encoding="utf-8") as file:
            for path in inputs:
                for row, outcome in _outcomes(path):
                    group = f"{path}:{row.get('step', '')}:{row.get('uid') or outcome.question.question_id}"
                    reward, scores = compute_reward(outcome, config)
                    for name, value in {"reward": reward, **scores}.items():
                        sums.setdefault(name, _Sums()).add(group, value)
                    line = {
                        "id": row.get("id") or f"{row['uid']}_{row.get('sample', 0)}",
                        "question_id": outcome.question.question_id,
                        "group": group,
                        "reward": reward,
                        "scores": scores,
                    }
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    count += 1
        if not count:
            raise InputError(f"{inputs[0]}: holds no trajectory")
        write_manifest(  # before the file, so that a kill leaves none that nobody made
            output,
            stage=STAGE,
            fingerprint=sha256_file(written),
            inputs={str(path): sha256_file(path) for path in inputs},
            config={"weights": dict(config.weights), "variant": config.variant},
            counts={"trajectories": count},
        )
    return count, {name: one.stats() for name, one in sums.items()}


def _outcomes(path: Path) -> Iterator[tuple[dict[str, Any], Outcome]]:
    """Each row of a file with the outcome that it holds."""
    for where, line in read_lines(path):
        with errors_named(where, "trajectory of `drag collect` or of a rollout dump"):
            row = json.loads(line)
            if "outcome" in row:
                found = (
                    {"uid": str(row["uid"]), **row},
                    check_outcome(_OUTCOME.validate_python(row["outcome"])),
                )
            else:
                trajectory = trajectory_from_row(row)
                found = {"id": trajectory.trajectory_id, **row}, trajectory.outcome
        yield found
