"""verl's replay buffer (``trainer.v1.sampler.custom_sampler``) that reports searches and stops when a rollout fails.

verl samples each step's rollouts, and each validation batch, through this buffer, so it is the one place that sees
every finished group together with its trace. On top of verl's own behaviour it

- shapes rewards by turn and by group (:mod:`drag_rl.verl_plugin.shaping`);
- returns the means of the reward's breakdown as training metrics (``drag/<name>/mean``) and the guards
  (``guard/<name>``): verl logs what the buffer returns; a guard's threshold warns, or stops the run;
- writes each batch as ``<step>.trajectories.jsonl`` next to verl's own dumps;
- raises when a rollout failed, naming the cause (verl would go on with what is left of the batch), and when nothing
  has moved for ``stall_timeout_s`` (an agent-loop worker that died reports nothing).
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import transfer_queue as tq
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.utils import tensordict_utils as tu

from drag_rl.files.codec import from_json
from drag_rl.types import Outcome
from drag_rl.verl_plugin.settings import SamplerSettings
from drag_rl.verl_plugin.shaping import token_rewards
from reward.guards import Rollout, check, guard_metrics

ERROR_PARTITION = "drag_errors"
"""TransferQueue partition where a failing agent loop leaves its cause, as the tag ``error``."""


TOKEN_FIELDS = ["responses", "response_mask", "rollout_log_probs", "rm_scores"]
"""What ``dump_tokens`` adds to a row; lists of equal length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRollout:
    """One trajectory as it lies in the queue."""

    key: str
    """``<uid>_<session>_<number>``."""
    trace: str
    """The outcome as JSON."""
    outcome: Outcome
    """The same, read."""
    breakdown: dict[str, float]
    tokens: dict[str, list[Any]]
    """``TOKEN_FIELDS`` where the queue has them; all of equal length."""
    blank_pages: int = 0
    """Images shown that were blank, as their pages cannot be rendered."""

    @property
    def uid(self) -> str:
        """The group: rollouts of one question in one step."""
        return self.key.rsplit("_", 2)[0]

    @property
    def reward(self) -> float:
        """The sum of the token rewards."""
        return float(sum(self.tokens["rm_scores"]))

    @property
    def own_logprobs(self) -> list[float]:
        """Log-probabilities of the policy's tokens (nats); none where they are not known."""
        logprobs, mask = self.tokens.get("rollout_log_probs"), self.tokens["response_mask"]
        return [value for value, own in zip(logprobs, mask, strict=True) if own] if logprobs else []

    @property
    def own_logprob(self) -> float | None:
        """Their mean."""
        return fmean(own) if (own := self.own_logprobs) else None

    def row(self, step: int, *, tokens: bool) -> dict[str, Any]:
        """A line of a dump."""
        row = {
            "uid": self.uid,
            "sample": int(self.key.rsplit("_", 2)[1]),
            "step": step,
            "reward": self.reward,
            "breakdown": self.breakdown,
            "outcome": json.loads(self.trace),
        }
        return row | self.tokens if tokens else row


class SearchReplayBuffer(ReplayBuffer):  # type: ignore[misc]
    """See the module's docstring; the arguments are verl's contract for custom samplers."""

    def __init__(self, *, sampler_kwargs: Any, **kwargs: Any) -> None:
        self.settings = SamplerSettings.from_mapping(sampler_kwargs, "trainer.v1.sampler.sampler_kwargs")
        filter_groups = self.settings.filter_groups
        super().__init__(
            sampler_kwargs=sampler_kwargs,
            poll_interval=self.settings.poll_interval_s,
            train_batch_size=self.settings.train_batch_size,
            gen_batch_size=1 if filter_groups.get("enable") else self.settings.train_batch_size,
            filter_groups_metric=filter_groups["metric"] if filter_groups.get("enable") else None,
            max_inflight_gen_batches=filter_groups.get("max_inflight_gen_batches", 1),
            **kwargs,
        )
        self._progress: tuple[Any, float] = (None, time.monotonic())
        self._written: set[Path] = set()

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[Any, dict[str, Any]]:
        """Wait for a batch; returns its keys and metrics as verl's buffer does, ours added.

        Raises:
            RuntimeError: A rollout failed, a guard stops the run, or nothing moved for ``stall_timeout_s``.
        """
        self._progress = (None, time.monotonic())
        batch, metrics = super().sample(
            global_steps=global_steps, partition_id=partition_id, batch_size=batch_size
        )
        training = partition_id != "val"
        rollouts = self._finished(batch)
        if training and self.settings.shaping.active:
            self._shape(batch, rollouts)
        rows = [rollout.row(global_steps, tokens=self.settings.dump_tokens) for rollout in rollouts]
        folder = self.settings.rollout_data_dir if training else self.settings.validation_data_dir
        if folder is not None:
            self._write(folder / f"{global_steps}.trajectories.jsonl", rows)
        if training:
            metrics = {**metrics, **search_metrics(rows), **self._guard(rollouts, global_steps)}
            metrics |= sampled_entropy([rollout.own_logprobs for rollout in rollouts])
            metrics["drag/blank_pages"] = float(sum(rollout.blank_pages for rollout in rollouts))
        return batch, metrics

    def _sync_metadata_from_transfer_queue(self) -> None:
        super()._sync_metadata_from_transfer_queue()
        failed = {uid for uids in self.failure_keys.values() for uid in uids}
        if failed:
            errors = (tq.kv_list(ERROR_PARTITION) or {}).get(ERROR_PARTITION, {})
            causes = sorted({str(tag.get("error")) for tag in errors.values()}) or ["see the log above"]
            raise RuntimeError(f"{len(failed)} rollout group(s) failed: {'; '.join(causes)[:2000]}")
        state = {
            name: {partition: len(keys) for partition, keys in getattr(self, name).items() if keys}
            for name in ("partitions", "pending_keys", "running_keys", "finished_keys")
        }
        if state != self._progress[0]:
            self._progress = (state, time.monotonic())
        elif time.monotonic() - self._progress[1] > self.settings.stall_timeout_s:
            raise RuntimeError(
                f"no rollout moved for {self.settings.stall_timeout_s:g} s: an agent-loop worker or the inference "
                f"engine is dead or stuck; state: {state}"
            )

    def _finished(self, batch: Any) -> list[FinishedRollout]:
        fields = ["extra_fields", *TOKEN_FIELDS]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        extras = data.pop("extra_fields").tolist()
        tokens = {name: [row.tolist() for row in data[name]] for name in TOKEN_FIELDS if name in data}
        return [
            FinishedRollout(
                key=key,
                trace=extra["outcome"],
                outcome=from_json(Outcome, extra["outcome"]),
                breakdown=extra.get("reward_extra_info", {}),
                tokens={name: values[position] for name, values in tokens.items()},
                blank_pages=extra.get("blank_pages", 0),
            )
            for position, (key, extra) in enumerate(zip(batch.keys, extras, strict=True))
        ]

    def _shape(self, batch: Any, rollouts: list[FinishedRollout]) -> None:
        """Replace the rewards, here and in the queue from which the trainer reads them."""
        shaped = token_rewards(
            [rollout.uid for rollout in rollouts],
            [rollout.outcome for rollout in rollouts],
            [rollout.reward for rollout in rollouts],
            [rollout.tokens["response_mask"] for rollout in rollouts],
            self.settings.shaping,
        )
        for rollout, rewards in zip(rollouts, shaped, strict=True):
            rollout.tokens["rm_scores"] = rewards
        nested = torch.nested.as_nested_tensor([torch.tensor(row) for row in shaped], layout=torch.jagged)
        fields = tu.get_tensordict({"rm_scores": nested})
        tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)

    def _guard(self, rollouts: list[FinishedRollout], step: int) -> dict[str, float]:
        metrics = guard_metrics(
            [Rollout(one.uid, one.reward, one.outcome, one.own_logprob) for one in rollouts]
        )
        for finding in check(metrics, self.settings.guards, step):
            if finding.level == "stop":
                raise RuntimeError(f"stopped by a guard: {finding.message} (drag.guards.stop)")
            print(f"[guard] {finding.message}", flush=True)  # noqa: T201 (verl's log is its workers' standard output)
        return {f"guard/{name}": value for name, value in metrics.items()}

    def _write(self, path: Path, rows: list[dict[str, Any]]) -> None:
        """Append to a file of this run; what an earlier, killed run left there is replaced."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if path in self._written else "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self._written.add(path)


def search_metrics(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means of the reward's breakdown over a batch.

    >>> search_metrics([{"breakdown": {"hit@1": 1.0}}, {"breakdown": {"hit@1": 0.0}}])
    {'drag/hit@1/mean': 0.5}
    """
    columns = defaultdict(list)
    for row in rows:
        for name, value in row["breakdown"].items():
            columns[name].append(float(value))
    return {f"drag/{name}/mean": fmean(values) for name, values in columns.items()}


def sampled_entropy(logprobs: Sequence[Sequence[float]]) -> dict[str, float]:
    """The policy's entropy in nats a token, estimated from what it sampled: ``-mean(log p)`` over all tokens.

    verl logs the exact one (``actor/entropy``) where it computes the old log-probabilities itself, which bypass mode
    does not. Empty where no log-probability is known.

    >>> sampled_entropy([[-1.0, -2.0], [-3.0]]), sampled_entropy([[]])
    ({'drag/sampled_entropy': 2.0}, {})
    """
    tokens = [value for rollout in logprobs for value in rollout]
    return {"drag/sampled_entropy": -fmean(tokens)} if tokens else {}
