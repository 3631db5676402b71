"""A training's queue without its trainer: real Ray and TransferQueue, verl's own rollout worker, scripted words.

What a trainer does between two steps is small: it tells the queue of new prompts, hands them to a rollout worker, and
samples the replay buffer. Here the test does that; only the inference engine is a script.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from compose_lab import composed
from omegaconf import OmegaConf

Says = Callable[[str, int, int], Any]
"""The question's word, which of its rollouts (from 0 on), the turn (from 1 on) -> the policy's message."""


@cache
def defaults():
    """What every training here starts from; made once, as Hydra reads all of verl's files each time."""
    given = ["data.train_files=t", "data.val_files=v", "hardware=cpu", "trainer.default_local_dir=c"]
    given += ["drag.index=i", "drag.episode.think=false", "data.max_response_length=4000"]
    return composed("grpo", given)


class Trainer:
    """Asks for rollouts as verl's trainer does, and samples them from the replay buffer that the configuration names.

    ``says`` scripts the policy.
    """

    def __init__(self, model: Path, data: Path, says: Says, *options: str):
        from verl.utils.import_utils import load_extern_type

        paths = [
            f"drag.index={data}/index",
            f"drag.pages={data}/pages",
            f"actor_rollout_ref.model.path={model}",
        ]
        self.config = OmegaConf.merge(defaults(), OmegaConf.from_dotlist([*paths, *options]))
        OmegaConf.resolve(self.config)
        self.questions = data / "questions.train.parquet"
        self.says, self.asked = says, 0
        sampler = self.config.trainer.v1.sampler
        buffer_class = load_extern_type(sampler.custom_sampler.path, sampler.custom_sampler.name)
        self.buffer = buffer_class(
            trainer_mode="sync",
            trainer_config=self.config.trainer.v1.get("sync", {}),
            max_off_policy_threshold=sampler.max_off_policy_threshold,
            max_off_policy_strategy=sampler.max_off_policy_strategy,
            sampler_kwargs=sampler.sampler_kwargs,
            refill_fn=self.refill,
        )

    def step(self, number: int, questions: int = 2, partition: str = "train") -> tuple[Any, dict[str, Any]]:
        """One step: rollouts of the next questions, sampled as a batch; returns its keys and metrics."""
        return asyncio.run(self._step(number, questions, partition))

    async def _step(self, number, questions, partition):
        self.number = number
        self.loop = asyncio.get_running_loop()
        self.worker = self._worker()
        await self._ask(questions, partition)
        # The buffer polls and sleeps, as it does in the trainer's own process.
        return await asyncio.to_thread(self.buffer.sample, number, partition, questions)

    def refill(self, questions: int) -> None:
        """What verl gives to a replay buffer that filters: ask for more."""
        asyncio.run_coroutine_threadsafe(self._ask(questions, "train"), self.loop).result()

    async def _ask(self, questions: int, partition: str) -> None:
        import transfer_queue as tq
        from verl.utils import tensordict_utils as tu
        from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

        data = RLHFDataset(
            str(self.questions), self.worker.tokenizer, self.config.data, self.worker.processor
        )
        rows = collate_fn([data[(self.asked + number) % len(data)] for number in range(questions)])
        self.asked += questions
        uids = [str(uuid4()) for _ in range(questions)]
        batch = tu.get_tensordict({**rows, "uid": uids}, {"global_steps": self.number})
        tags = [{"is_prompt": True, "status": "pending", "global_steps": self.number}] * questions
        await tq.async_kv_batch_put(keys=uids, partition_id=partition, tags=tags)
        tu.assign_non_tensor_data(batch, "validate", partition == "val")
        await self.worker.generate_sequences(batch)

    def _worker(self) -> Any:
        """verl's rollout worker and reward worker, in this process."""
        from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
        from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ

        rewards = RewardLoopWorker(self.config)
        handle = SimpleNamespace(compute_score=SimpleNamespace(remote=rewards.compute_score))
        engine = ScriptedEngine(self.says, rewards.input_tokenizer)
        return AgentLoopWorkerTQ.__ray_metadata__.modified_class(self.config, engine, None, [handle])


class ScriptedEngine:
    """An inference engine that says what the script says, and hangs where the script says None."""

    def __init__(self, says: Says, tokenizer: Any):
        self.says, self.tokenizer = says, tokenizer
        self.turns: dict[tuple[str, str], int] = {}

    async def generate(self, *, request_id: str, prompt_ids: Sequence[int], **_: Any) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        word = re.search(r"about the (\w+)\?", self.tokenizer.decode(prompt_ids))[1]
        turn = self.turns[word, request_id] = self.turns.get((word, request_id), 0) + 1
        rollout = [request for asked, request in self.turns if asked == word].index(request_id)
        text = self.says(word, rollout, turn)
        if inspect.isawaitable(text):
            text = await text
        if text is None:
            await asyncio.Event().wait()
        ids = self.tokenizer.encode(f"{text}<|im_end|>", add_special_tokens=False)
        steps = {"global_steps": 1, "min_global_steps": 1, "max_global_steps": 1}
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), num_preempted=0, extra_fields=steps)
