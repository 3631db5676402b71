"""Batches of rollouts on disk: ``<step>.trajectories.jsonl``, beside verl's own dumps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drag_rl.verl_plugin.finished import FinishedRollout


class Dumps:
    """The files of one run in one folder, or nowhere."""

    def __init__(self, folder: Path | None, *, tokens: bool) -> None:
        """``tokens``: whether each row also has its response token ids, mask, log-probabilities and rewards."""
        self.folder, self.tokens = folder, tokens
        self._written: set[Path] = set()

    def write(self, rollouts: Sequence[FinishedRollout], step: int) -> None:
        """Add a batch to the step's file; what an earlier run, which was killed, left there is replaced."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{step}.trajectories.jsonl"
        with path.open("a" if path in self._written else "w", encoding="utf-8") as file:
            for rollout in rollouts:
                file.write(json.dumps(_row(rollout, step, tokens=self.tokens), ensure_ascii=False) + "\n")
        self._written.add(path)


def _row(rollout: FinishedRollout, step: int, *, tokens: bool) -> dict[str, Any]:
    row = {
        "uid": rollout.uid,
        "sample": rollout.sample,
        "step": step,
        "reward": rollout.reward,
        "breakdown": rollout.breakdown,
        "outcome": json.loads(rollout.outcome_json),
    }
    return row | rollout.tokens if tokens else row
