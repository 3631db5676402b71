"""Real training in stock verl on the CPU: real Ray, vLLM and FSDP, a tiny Qwen3-VL, a real index of real PDFs.

A start takes minutes, so that each run here shows several things, and most of them end in the way that they should end
when something breaks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from statistics import fmean

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy_retriever
import training_lab
from learning import check_learning, check_turn_credit, outcome_of
from safetensors.torch import load_file
from training_lab import LEARN, MANY_STEPS, Run, train

from drag_rl.episode import EpisodeConfig, as_text
from drag_rl.files.codec import to_json
from drag_rl.questions import read_questions, write_questions
from drag_rl.training.merge import merge_adapter
from reward.table import RewardConfig, compute_reward
from reward.turn_credit import TurnCreditConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SYNC_FAULT = """
import os, wrapt

def fail(wrapped, instance, args, kwargs):
    if os.path.exists(os.environ["SYNC_FAULT"]):
        raise RuntimeError("the disk of the worker is full")
    return wrapped(*args, **kwargs)

def patch(module):
    wrapt.wrap_function_wrapper(module, "vLLMColocateWorkerExtension._update_weights", fail)

wrapt.register_post_import_hook(patch, "verl.workers.rollout.vllm_rollout.utils")
"""
"""A vLLM worker that fails while it takes weights, from the moment when the file SYNC_FAULT is there."""


def test_ppo_with_turn_credit_until_a_weight_sync_fails(model, data, tmp_path):
    """Stock verl would wait for ever for a worker that has failed."""
    (tmp_path / "sync_fault.py").write_text(SYNC_FAULT)
    folder, fault = tmp_path / "run", tmp_path / "fault"
    process = training_lab.start_training(
        "ppo",
        model=model,
        data=data,
        folder=folder,
        options=[
            *LEARN,
            *MANY_STEPS,
            "data.train_batch_size=8",
            "actor_rollout_ref.rollout.n=2",
            "drag.shaping.turn_credit={weights:{rank_score_gain:0.5,deep_rank_gain:0.5}}",
            "trainer.val_before_train=false",
        ],
        VERL_USE_EXTERNAL_MODULES="sync_fault",
        PYTHONPATH=str(tmp_path),
        SYNC_FAULT=str(fault),
        DRAG_WEIGHT_SYNC_TIMEOUT_S="30",
    )
    training_lab.wait_for(lambda: "step:2 - " in training_lab.log_of(folder), process, folder, timeout_s=900)
    fault.touch()
    run = training_lab.finish(process, folder, timeout_s=300)
    check_learning(run, model, steps=2)
    assert {1, 2} <= set(run.metric("critic/vf_loss"))
    assert all(
        value > 0 for name in ("actor", "critic") for value in run.metric(f"{name}/grad_norm").values()
    )
    credit = TurnCreditConfig(weights={"rank_score_gain": 0.5, "deep_rank_gain": 0.5})
    check_turn_credit(run.trajectories(), credit)
    assert run.returncode != 0
    assert "weight sync: the vLLM worker did not take the new weights" in run.log[-6000:], run.log[-6000:]
    assert "the disk of the worker is full" in run.log


@pytest.fixture(scope="module")
def adapter(model, data, tmp_path_factory):
    """What two steps of SFT make of the model: an adapter."""
    folder = tmp_path_factory.mktemp("sft")
    config = EpisodeConfig(max_turns=3, snippet_chars=80, think=False)
    rows = [
        {
            "messages": [
                {"role": message["role"], "content": as_text(message)} for message in episode.messages
            ],
            "images": [],
            "turn_train": [True] * len(episode.outcome().turns),
            "rank_score": 1.0,
            "best_rank": 1,
        }
        for episode in islice(training_lab.dialogues(data, config, seed=3), 8)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "sft_trajectory_train.parquet")
    knobs = {"MODEL": str(model), "TRAIN": str(folder / "sft_trajectory_train.parquet"), "HARDWARE": "cpu"}
    fp32 = "engine.mixed_precision.param_dtype=fp32"
    options = ("trainer.total_epochs=2", "data.train_batch_size=8", "optim.lr=1e-2")
    result = subprocess.run(
        ["bash", str(training_lab.ROOT / "scripts" / "run_sft.sh"), fp32, *options],
        env={**os.environ, **knobs, "RUN": str(folder / "run"), "LORA_RANK": "8"},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return folder / "run" / "adapter"


def test_an_adapter_is_trained_on_a_foreign_index_with_a_kl_term_until_a_guard_stops(
    model, data, adapter, tmp_path
):
    site = {"PYTHONPATH": toy_retriever.installed_in(tmp_path / "site")}
    toy = tmp_path / "toy"
    command = [sys.executable, "-m", "drag_rl.cli.main", "index", "--kind", "toy"]
    subprocess.run(
        [*command, "--pages", str(data / "pages"), "--out", str(toy)], env={**os.environ, **site}, check=True
    )
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            "actor_rollout_ref.actor.optim.lr=1e-2",
            "actor_rollout_ref.actor.use_kl_loss=true",
            "actor_rollout_ref.rollout.n=8",
            *MANY_STEPS,
            "trainer.val_before_train=false",
            "trainer.save_freq=2",
            "drag.guards.from_step=3",
            "drag.guards.stop.searches=50",
            f"drag.index={toy}",
        ],
        ADAPTER=str(adapter),
        **site,
    )
    check_learning(run, model, steps=2)
    scores = [
        hit["score"] for row in run.trajectories() for turn in row["outcome"]["turns"] for hit in turn["hits"]
    ]
    assert scores and all(0 < score <= 1.001 for score in scores), "those of the toy are cosines"
    assert run.returncode != 0
    assert "stopped by a guard: step 3: searches is" in run.log[-4000:], run.log[-4000:]
    # The reference is the policy without any adapter: the one of SFT is already some way off.
    distance = run.metric("actor/kl_loss")
    assert 1e-5 < distance[1] < distance[2]
    # The checkpoint that is left can be exported: the adapter, further trained.
    exported = tmp_path / "exported"
    command = [
        sys.executable,
        "-m",
        "drag_rl.training.export",
        "--run",
        str(run.folder),
        "--out",
        str(exported),
    ]
    subprocess.run(command, check=True, timeout=300)
    before, after = (load_file(each / "adapter_model.safetensors") for each in (adapter, exported))
    assert set(before) == set(after)
    moved = [(after[name].float() - before[name].float()).abs().max() for name in before if "lora_B" in name]
    assert min(moved) > 1e-3
    configs = [json.loads((each / "adapter_config.json").read_text()) for each in (adapter, exported)]
    assert configs[0]["lora_alpha"] == configs[1]["lora_alpha"]


def test_two_ranks_shape_groups_filter_and_validate(data, adapter, tmp_path):
    """From the merged model, which is what many users go on with."""
    merged = merge_adapter(adapter, tmp_path / "merged")
    run = train(
        "grpo",
        model=merged,
        data=data,
        folder=tmp_path / "run",
        options=[
            *LEARN,
            "trainer.n_gpus_per_node=2",
            "actor_rollout_ref.rollout.n=4",
            "actor_rollout_ref.actor.use_kl_loss=true",
            "drag.shaping.group.combine=multiply",
            "algorithm.filter_groups.enable=true",
            "algorithm.filter_groups.metric=hit@1",
            "trainer.total_training_steps=2",
            "trainer.val_before_train=false",
            "trainer.test_freq=2",
        ],
    )
    assert run.returncode == 0, run.log[-3000:]
    check_learning(run, merged, steps=2)
    # All weights are trained, and the reference is the policy at its start.
    distance = run.metric("actor/kl_loss")
    assert abs(distance[1]) < 1e-6
    assert distance[2] > 1e-4
    # verl's own switch has taken out the groups without variance.
    rows, groups = run.trajectories(), {}
    for row in rows:
        groups.setdefault((row["step"], row["uid"]), set()).add(row["breakdown"]["hit@1"])
    assert len(groups) == 8
    assert all(len(scores) > 1 for scores in groups.values())
    assert "filter_groups/evicted_samples" in run.log, "nothing had to be filtered: the test shows nothing"
    # Rollouts that found the same have shared their reward.
    unshaped = [compute_reward(outcome_of(row), RewardConfig())[0] for row in rows]
    assert any(abs(row["reward"] - reward) > 1e-6 for row, reward in zip(rows, unshaped, strict=True))
    # Validation is measured and written, in the types that everything else works on.
    validated = run.trajectories("validation")
    assert {row["step"] for row in validated} == {2}
    assert len(validated) == 5
    for row in validated:
        assert json.loads(to_json(outcome_of(row))) == row["outcome"]
    mean = sum(row["breakdown"]["rank_score"] for row in validated) / 5
    assert run.metric("val-aux/faq/rank_score/mean@1")[2] == pytest.approx(mean)


def test_with_page_images_the_reward_rises_through_a_kill_and_ends_with_its_engine(model, data, tmp_path):
    """All questions are about one document, so that eight steps can teach which words lead to it."""
    questions = tmp_path / "questions.train.parquet"
    asked = [one for one in read_questions(data / "questions.train.parquet") if "turbines" in one.question_id]
    write_questions(questions, asked[:4], "train")
    folder = tmp_path / "run"
    options = [
        *LEARN,
        *MANY_STEPS,
        f"data.train_files={questions}",
        "data.max_response_length=1200",
        "actor_rollout_ref.rollout.n=12",
        "drag.episode.observation=both",
        "trainer.save_freq=2",
    ]
    # A run is killed after a checkpoint ...
    checkpoint = folder / "checkpoints" / "latest_checkpointed_iteration.txt"
    process = training_lab.start_training("grpo", model=model, data=data, folder=folder, options=options)
    training_lab.wait_for(checkpoint.exists, process, folder, timeout_s=900)
    training_lab.kill(process)
    saved = int(checkpoint.read_text())
    first = Run(folder, 0, 0.0, training_lab.log_of(folder))
    rows = first.trajectories()
    assert any(turn["image_page_ids"] for row in rows for turn in row["outcome"]["turns"]), (
        "no image was shown"
    )
    turns = [row["outcome"]["turns"] for row in rows if len(row["outcome"]["turns"]) > 1]
    assert any(each[0]["image_page_ids"] for each in turns), "no episode went on after a page image"
    assert min(first.metric("training/rollout_actor_probs_pearson_corr").values()) > 0.999
    # ... verl's validation pass ran before training, and its metrics hold the breakdown ...
    assert first.trajectories("validation")
    assert "val-aux/faq/rank_score/mean@1" in first.log
    # ... and it goes on at the next step ...
    process = training_lab.start_training(
        "grpo", model=model, data=data, folder=folder, options=[*options, "trainer.val_before_train=false"]
    )
    since = lambda: training_lab.log_of(folder)[len(first.log) :]  # noqa: E731
    training_lab.wait_for(lambda: "step:8 - " in since(), process, folder, timeout_s=900)
    resumed = Run(folder, 0, 0.0, since())
    correlation = resumed.metric("training/rollout_actor_probs_pearson_corr")
    assert set(range(saved + 1, 9)) <= set(correlation) and min(correlation) == saved + 1
    assert min(correlation.values()) > 0.999
    # ... with what it had learnt, and learns on.
    rewards = [
        fmean(row["reward"] for row in resumed.trajectories() if row["step"] == step) for step in range(1, 9)
    ]
    print("mean reward of each step:", *(f"{reward:.3f}" for reward in rewards))  # noqa: T201
    assert fmean(rewards[6:]) > fmean(rewards[:2]) + 0.1, rewards
    # The engine dies: the run ends soon, and says why.
    (engine,) = [
        child for child in training_lab.processes(process) if "VLLM::Worker" in " ".join(child.cmdline())
    ]
    engine.kill()
    run = training_lab.finish(process, folder, timeout_s=240)
    assert run.returncode != 0
    assert "Engine" in run.log[-6000:], run.log[-6000:]
