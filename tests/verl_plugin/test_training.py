"""Real training in stock verl on the CPU: real Ray, vLLM and FSDP, a tiny Qwen3-VL, a real index of real PDFs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import training_lab
from learning import check_learning
from safetensors.torch import load_file
from training_lab import GROUPS_OF_4, GROUPS_OF_8, LEARN, TWO_STEPS, Run, train

from drag_rl.codec import from_json, to_json
from drag_rl.types import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_grpo_with_page_images_is_killed_and_resumes_and_notices_a_dead_engine(model, data, tmp_path):
    folder = tmp_path / "run"
    arguments = {
        "model": model,
        "data": data,
        "folder": folder,
        "options": [
            *LEARN,
            "drag.episode.observation=both",
            *GROUPS_OF_4,
            "data.max_response_length=1200",
            "trainer.total_training_steps=40",
            "trainer.total_epochs=40",
            "trainer.save_freq=2",
            "trainer.val_before_train=true",
        ],
    }
    # A run is killed after a checkpoint ...
    checkpoint = folder / "checkpoints" / "latest_checkpointed_iteration.txt"
    process = training_lab.start_training("grpo", **arguments)
    training_lab.wait_for(checkpoint.exists, process, folder, timeout_s=900)
    training_lab.kill(process)
    saved = int(checkpoint.read_text())
    first = Run(folder, 0, 0.0, (folder / "train.log").read_text())
    rows = first.trajectories()
    shown = [turn for row in rows for turn in row["outcome"]["turns"] if turn["image_page_ids"]]
    assert shown, "no page image was shown"
    later = [
        row
        for row in rows
        if row["outcome"]["turns"][0]["image_page_ids"] and len(row["outcome"]["turns"]) > 1
    ]
    assert later, "no episode went on after a page image"
    assert min(first.metric("training/rollout_actor_probs_pearson_corr").values()) > 0.999
    # ... verl's validation pass ran before training, and its metrics hold the breakdown ...
    assert first.trajectories("validation")
    assert "val-aux/faq/rank_score/mean@1" in first.log
    # ... and it goes on at the next step.
    process = training_lab.start_training("grpo", **arguments)
    log = folder / "train.log"
    training_lab.wait_for(lambda: f"step:{saved + 2} - " in log.read_text(), process, folder, timeout_s=900)
    resumed = Run(folder, 0, 0.0, log.read_text())
    steps = sorted(resumed.metric("training/rollout_actor_probs_pearson_corr"))
    assert steps[0] == saved + 1
    assert min(resumed.metric("training/rollout_actor_probs_pearson_corr").values()) > 0.999
    # The engine dies: the run ends soon, and says why.
    (engine,) = [
        child for child in training_lab.processes(process) if "VLLM::Worker" in " ".join(child.cmdline())
    ]
    engine.kill()
    run = training_lab.finish(process, folder, timeout_s=240)
    assert run.returncode != 0
    assert "Engine" in run.log[-6000:], run.log[-6000:]


def test_ppo_with_a_critic(model, data, tmp_path):
    run = train(
        "ppo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            *LEARN,
            "data.train_batch_size=8",
            *TWO_STEPS,
        ],
    )
    check_learning(run, model, steps=2)
    assert set(run.metric("critic/vf_loss")) == {1, 2}
    assert all(
        value > 0 for name in ("actor", "critic") for value in run.metric(f"{name}/grad_norm").values()
    )


def test_grpo_trains_an_adapter_with_a_kl_term(model, data, tmp_path):
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            "actor_rollout_ref.actor.optim.lr=1e-2",
            "actor_rollout_ref.actor.use_kl_loss=true",
            *GROUPS_OF_8,
            *TWO_STEPS,
            "trainer.save_freq=2",
        ],
        LORA_RANK="8",
    )
    check_learning(run, model, steps=2)
    # The reference is the policy without its adapter: no distance before the first update, some after it.
    distance = run.metric("actor/kl_loss")
    assert abs(distance[1]) < 1e-6
    assert distance[2] > 1e-4
    # verl's own merger takes the adapter out of the checkpoint, as the README says.
    checkpoint = tmp_path / "run" / "checkpoints" / "global_step_2" / "actor"
    command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    target = tmp_path / "exported"
    subprocess.run(
        [*command, "--local_dir", str(checkpoint), "--target_dir", str(target)],
        env={**os.environ, "VERL_PLATFORM": "cpu"},
        check=True,
        timeout=300,
    )
    adapter = load_file(target / "lora_adapter" / "adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for name, weight in adapter.items() if "lora_B" in name)


def test_grpo_on_two_ranks_with_validation(model, data, tmp_path):
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            *LEARN,
            "trainer.n_gpus_per_node=2",
            *GROUPS_OF_8,
            *TWO_STEPS,
            "trainer.test_freq=2",
        ],
    )
    check_learning(run, model, steps=2)
    validated = run.trajectories("validation")
    assert {row["step"] for row in validated} == {2}
    assert len(validated) == 5
    for row in validated:  # the rows can be read back as the types that everything else works on
        outcome = from_json(Outcome, json.dumps(row["outcome"]))
        assert json.loads(to_json(outcome)) == row["outcome"]
    mean = sum(row["breakdown"]["rank_score"] for row in validated) / 5
    assert run.metric("val-aux/faq/rank_score/mean@1")[2] == pytest.approx(mean)
