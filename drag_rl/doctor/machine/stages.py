"""What a check does, stage by stage: each starts a script as a user would and reads what it left.

A stage returns what it saw, by name, and raises StageError where something is not as it should be. Those after it go
on with what there is.
"""

from __future__ import annotations

import json
import math
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drag_rl.doctor.machine.runs import Peak, Program, StageError, mean, metrics, running, script
from drag_rl.doctor.machine.world import EPISODE, World

LEAST_CORRELATION = 0.99
"""Of the probabilities of sampled tokens, engine against trainer: bfloat16 stays above 0.999."""
PROBABILITIES = "training/rollout_actor_probs_pearson_corr"
SMALL = (
    "data.train_batch_size=8",
    "actor_rollout_ref.actor.ppo_mini_batch_size=8",
    "actor_rollout_ref.rollout.enforce_eager=true",
    "actor_rollout_ref.rollout.max_num_seqs=32",
    "drag.turn_tokens=48",
    "data.max_prompt_length=768",
    "data.max_response_length=1536",
    "trainer.total_epochs=100",
    "trainer.test_freq=-1",
    "trainer.val_before_train=false",
    *(f"drag.episode.{name}={str(value).lower()}" for name, value in EPISODE.items()),
)
"""Options of every RL run."""


@dataclass
class Check:
    """What the stages share."""

    folder: Path
    """Of this check: logs, runs."""
    hardware: str
    model: str
    """The model to start from: a folder or a hub id."""
    world: World
    limit_s: float
    """Of one start of a program."""
    tiny: bool
    """Whether the model is the tiny one: random weights learn the protocol first, and high rates move them."""
    trained: Path | None = None
    """The model that SFT left."""
    adapter: Path | None = None
    """The adapter that GRPO left."""
    peak: Peak = field(default_factory=Peak)
    """Of the present stage."""

    def environment(self, run: str, **knobs: str) -> dict[str, str]:
        """Knobs of a launch script."""
        model = str(self.trained or self.model)
        return {"HARDWARE": self.hardware, "MODEL": model, "RUN": str(self.folder / run)} | knobs

    def watched(self, program: Program) -> None:
        """Keep the most memory that a program of this stage has used."""
        self.peak.gpu = max(self.peak.gpu, program.peak.gpu)
        self.peak.host = max(self.peak.host, program.peak.host)

    def run(self, command: Sequence[str], log: str, environment: Mapping[str, str]) -> str:
        """Run a program to its end; returns what it said."""
        with running(command, self.folder / log, **environment) as program:
            try:
                program.wait(self.limit_s)
            finally:
                self.watched(program)
            return program.said()


Seen = dict[str, str]
"""What a stage saw -> how it is shown."""


def sft(check: Check) -> Seen:
    """SFT with verl: all weights of the tiny model, an adapter of a real one; ends with an export."""
    steps, rate, rank = (60, "3e-3", "0") if check.tiny else (2, "1e-4", "16")
    knobs = {
        "TRAIN": str(check.world.conversations),
        "VAL": "",
        "WEIGHT": "none",
        "LORA_RANK": rank,
        "RANKS": "1",
    }
    options = [f"optim.lr={rate}", "data.train_batch_size=8", f"trainer.total_training_steps={steps}"]
    options += ["data.max_length=4096", "data.max_token_len_per_gpu=4096", "trainer.save_freq=-1"]
    command = script("run_sft.sh", *options)
    check.run(command, "sft.log", check.environment("sft", **knobs))
    rows = [
        json.loads(line)["data"]
        for path in sorted((check.folder / "sft/metrics").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    if len(losses) < 2 or not all(map(math.isfinite, losses)):
        raise StageError(f"{len(losses)} steps have a finite loss, of {steps}")
    if check.tiny:
        if losses[-1] > losses[0] / 2:
            raise StageError(f"the loss went from {losses[0]:.2f} to {losses[-1]:.2f}: nothing was learnt")
        check.trained = check.folder / "sft/model"
    tokens = [row["train/global_tokens"] for row in rows if "train/global_tokens" in row]
    return {
        "loss": f"{losses[0]:.2f} → {losses[-1]:.2f} in {len(losses)} steps",
        **({"tokens of a step": f"{mean(tokens):.0f}"} if tokens else {}),
    }


def grpo(check: Check) -> Seen:
    """GRPO on text with an adapter: weights go to the engine each step; killed after a checkpoint, it resumes."""
    options = [*SMALL, "trainer.save_freq=1", "trainer.total_training_steps=4", *_groups(check, adapter=True)]
    command = script("run_grpo.sh", *options)
    environment = check.environment("grpo", DATA=str(check.world.data), LORA_RANK="16")
    checkpoint = check.folder / "grpo/checkpoints/latest_checkpointed_iteration.txt"
    with running(command, check.folder / "grpo.log", **environment) as program:
        program.wait_for(checkpoint.is_file, check.limit_s)
        saved = int(checkpoint.read_text())
        program.kill()
        check.watched(program)
        before = program.said()
    after = check.run(command, "grpo-resumed.log", environment)
    steps = metrics(after)
    if min(steps, default=0) != saved + 1:
        raise StageError(
            f"killed after the checkpoint of step {saved}, it went on at step {min(steps, default=0)}"
        )
    seen = _learnt(metrics(before) | steps, ["actor/grad_norm"])
    check.run(_export(check.folder / "grpo"), "export.log", {})
    check.adapter = check.folder / "grpo/adapter"
    return seen | {"killed and resumed": f"after step {saved}, at step {saved + 1}"}


def grpo_on_images(check: Check) -> Seen:
    """GRPO on page images."""
    options = [*SMALL, "drag.episode.observation=both", *_groups(check, adapter=not check.tiny)]
    options += ["trainer.total_training_steps=2", f"trainer.save_freq={-1 if check.tiny else 2}"]
    knobs = {} if check.tiny else {"LORA_RANK": "16"}
    environment = check.environment("images", DATA=str(check.world.data), **knobs)
    log = check.run(script("run_grpo.sh", *options), "images.log", environment)
    seen = _learnt(metrics(log), ["actor/grad_norm"])
    episodes = [
        json.loads(line)["outcome"]
        for path in sorted((check.folder / "images/rollouts").glob("*.trajectories.jsonl"))
        for line in path.read_text().splitlines()
    ]
    went_on = [
        outcome for outcome in episodes if any(turn["image_page_ids"] for turn in outcome["turns"][:-1])
    ]
    if not went_on:
        raise StageError(f"of {len(episodes)} episodes none went on after a page image")
    if not check.tiny:
        check.run(_export(check.folder / "images"), "export.log", {})
        check.adapter = check.folder / "images/adapter"
    return seen | {"episodes that read a page image": f"{len(went_on)} of {len(episodes)}"}


def ppo(check: Check) -> Seen:
    """PPO with a critic, all weights."""
    options = [*SMALL, "data.train_batch_size=16", "actor_rollout_ref.actor.ppo_mini_batch_size=16"]
    options += ["actor_rollout_ref.actor.optim.lr=1e-3", "critic.optim.lr=1e-3"]
    options += ["trainer.total_training_steps=2", "trainer.save_freq=-1"]
    environment = check.environment("ppo", DATA=str(check.world.data))
    log = check.run(script("run_ppo.sh", *options), "ppo.log", environment)
    return _learnt(metrics(log), ["actor/grad_norm", "critic/grad_norm"])


def serve(check: Check) -> Seen:
    """vLLM serves the model and the adapter of GRPO; both answer, and differently."""
    from openai import OpenAI

    adapter = check.adapter
    if adapter is None:
        raise StageError("there is no adapter to serve: GRPO did not end")
    model, port = str(check.trained or check.model), _free_port()
    command = script("serve_vllm.sh", model, "--name", "base", "--adapter", f"trained={adapter}")
    command += ["--port", str(port), "--", "--max-model-len", "4096", "--enforce-eager"]
    with running(command, check.folder / "serve.log", HARDWARE=check.hardware) as server:
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=120)
        server.wait_for(lambda: _answers(client), check.limit_s)
        question = "What does the handbook say about the seal?"
        replies, started = {}, time.monotonic()
        for name in ("base", "trained"):
            replies[name] = client.chat.completions.create(
                model=name,
                messages=[{"role": "user", "content": question}],
                max_tokens=64,
                temperature=0,
                logprobs=True,
            )
        seconds = time.monotonic() - started
        check.watched(server)
    said = {}
    for name, reply in replies.items():
        drawn = reply.choices[0].logprobs
        said[name] = [token.logprob for token in (drawn.content if drawn else None) or ()]
    if said["base"] == said["trained"]:
        raise StageError("the adapter changes no probability: it is not in use")
    tokens = sum(map(len, said.values()))
    return {"tokens a second, one request at a time": f"{tokens / seconds:.0f}"}


STAGES: dict[str, Callable[[Check], Seen]] = {
    "SFT": sft,
    "GRPO: text, adapter, weight sync, kill and resume": grpo,
    "GRPO: page images": grpo_on_images,
    "PPO": ppo,
    "vLLM serves the adapter": serve,
}
REAL_MODEL_STAGES: dict[str, Callable[[Check], Seen]] = {
    "SFT of an adapter": sft,
    "GRPO: page images, adapter, weight sync": grpo_on_images,
    "vLLM serves the adapter": serve,
}
"""A real model's, which has to fit: an adapter each time."""


def _groups(check: Check, *, adapter: bool) -> list[str]:
    """Eight rollouts of a question, and a rate at which few steps change the probabilities."""
    rate = ("1e-2" if adapter else "1e-3") if check.tiny else "1e-4"
    return ["actor_rollout_ref.rollout.n=8", f"actor_rollout_ref.actor.optim.lr={rate}"]


def _learnt(steps: Mapping[int, Mapping[str, float]], gradients: Sequence[str]) -> Seen:
    """That there were steps, gradients, and one opinion of engine and trainer on what was sampled."""
    if len(steps) < 2:
        raise StageError(f"{len(steps)} steps were logged, at least 2 were asked for")
    agreement = {step: values.get(PROBABILITIES, math.nan) for step, values in steps.items()}
    worst = min(agreement, key=lambda step: agreement[step] if math.isfinite(agreement[step]) else -1)
    if not agreement[worst] >= LEAST_CORRELATION:
        raise StageError(
            f"engine and trainer disagree: the probabilities of step {worst} correlate by {agreement[worst]:.4f}"
        )
    for name in gradients:
        if not any(values.get(name, 0) > 0 for values in steps.values()):
            raise StageError(f"no step had a gradient ({name})")
    last = steps[max(steps)]
    memory = [value for name, value in last.items() if name.endswith("max_memory_allocated_gb")]
    return {
        "steps": ", ".join(map(str, sorted(steps))),
        "probabilities, engine to trainer": f"r ≥ {agreement[worst]:.5f}",
        "tokens a second and device": f"{last.get('perf/throughput', math.nan):.0f}",
        "seconds of the last step": f"{last.get('perf/time_per_step', math.nan):.1f}",
        **({"trainer's peak": f"{max(memory):.1f} GiB"} if memory else {}),
    }


def _export(run: Path) -> list[str]:
    return [sys.executable, "-m", "drag_rl.training.export", "--run", str(run)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(client: object) -> bool:
    from openai import APIError, OpenAI

    assert isinstance(client, OpenAI)
    try:
        return {model.id for model in client.models.list()} >= {"base", "trained"}
    except APIError:
        time.sleep(1)
        return False
