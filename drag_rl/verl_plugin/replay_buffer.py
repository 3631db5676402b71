"""verl's replay buffer (``trainer.v1.sampler.custom_sampler``) for search trainings.

verl samples each step's rollouts, and each validation batch, through this buffer, so it is the one place that sees
every finished group together with its trace. On top of verl's own behaviour it has five jobs, each a module of its own:

- a rollout that failed ends the run, with its cause          (:mod:`drag_rl.verl_plugin.rollout_errors`)
- so does a queue in which nothing moves                      (:mod:`drag_rl.verl_plugin.stall`)
- rewards are shaped by turn, by group and by training step   (:mod:`drag_rl.verl_plugin.shaping`, ``schedules``)
- each batch is written to disk                               (:mod:`drag_rl.verl_plugin.dumps`)
- means and guards are returned as metrics, which verl logs   (:mod:`drag_rl.verl_plugin.batch_metrics`, ``guarding``)
"""

from __future__ import annotations

from typing import Any

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from drag_rl.verl_plugin.batch_metrics import batch_metrics
from drag_rl.verl_plugin.dumps import Dumps
from drag_rl.verl_plugin.finished import FinishedRollout, read_finished, replace_rewards
from drag_rl.verl_plugin.guarding import guard
from drag_rl.verl_plugin.rollout_errors import raise_reported
from drag_rl.verl_plugin.schedules import Schedules
from drag_rl.verl_plugin.settings import SamplerSettings
from drag_rl.verl_plugin.shaping import token_rewards
from drag_rl.verl_plugin.stall import StallTimer

VALIDATION = "val"
"""verl's name for the queue's partition of validation rollouts."""


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
        self.schedules = Schedules(self.settings.shaping.scheduled, self.settings.state_dir)
        self.stall = StallTimer(self.settings.stall_timeout_s)
        self.training_dumps = Dumps(self.settings.rollout_data_dir, tokens=self.settings.dump_tokens)
        self.validation_dumps = Dumps(self.settings.validation_data_dir, tokens=self.settings.dump_tokens)

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[Any, dict[str, Any]]:
        """Wait for a batch; returns its keys and metrics as verl's buffer does, ours added.

        Raises:
            RuntimeError: A rollout failed, a guard stops the run, or nothing moved for ``stall_timeout_s``.
        """
        self.stall.restart()
        batch, metrics = super().sample(
            global_steps=global_steps, partition_id=partition_id, batch_size=batch_size
        )
        rollouts = read_finished(batch)
        if partition_id == VALIDATION:
            self.validation_dumps.write(rollouts, global_steps)
            return batch, metrics
        if self.settings.shaping.active:
            replace_rewards(batch, rollouts, self._shaped(rollouts, global_steps))
            self.schedules.saw(global_steps, [rollout.breakdown for rollout in rollouts])
            metrics |= {f"drag/weight/{name}": now for name, now in self.schedules.at(global_steps).items()}
        self.training_dumps.write(rollouts, global_steps)
        guards = guard(rollouts, self.settings.guards, global_steps)
        return batch, {**metrics, **batch_metrics(rollouts), **guards}

    def _sync_metadata_from_transfer_queue(self) -> None:
        super()._sync_metadata_from_transfer_queue()
        raise_reported(self.failure_keys)
        self.stall.look(
            {
                name: {partition: len(keys) for partition, keys in getattr(self, name).items() if keys}
                for name in ("partitions", "pending_keys", "running_keys", "finished_keys")
            }
        )

    def _shaped(self, rollouts: list[FinishedRollout], step: int) -> list[list[float]]:
        return token_rewards(
            [rollout.uid for rollout in rollouts],
            [rollout.outcome for rollout in rollouts],
            [rollout.reward for rollout in rollouts],
            [rollout.tokens["response_mask"] for rollout in rollouts],
            self.settings.shaping,
            self.schedules.rewards(step, [rollout.breakdown for rollout in rollouts]),
        )
