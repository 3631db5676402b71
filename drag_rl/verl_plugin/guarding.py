"""The guards of ``reward.guards`` in a training: a threshold that a step has passed warns, or ends the run."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.verl_plugin.finished import FinishedRollout
from reward.guards import GuardConfig, Rollout, check, guard_metrics


def guard(rollouts: Sequence[FinishedRollout], config: GuardConfig, step: int) -> dict[str, float]:
    """The guards' metrics of a batch (``guard/<name>``). Raises RuntimeError where a threshold ends the run."""
    metrics = guard_metrics([Rollout(one.uid, one.reward, one.outcome, one.own_logprob) for one in rollouts])
    for finding in check(metrics, config, step):
        if finding.level == "stop":
            raise RuntimeError(f"stopped by a guard: {finding.message} (drag.guards.stop)")
        print(f"[guard] {finding.message}", flush=True)  # noqa: T201 (verl's log is its workers' standard output)
    return {f"guard/{name}": value for name, value in metrics.items()}
