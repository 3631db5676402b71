"""SFT in stock verl on the CPU, by its launch script: exact loss, kill and resume, ranks, adapter, hand-over to RL."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import training_lab

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FP32 = "engine.mixed_precision.param_dtype=fp32"


def start(world, run, *options, **env):
    """Start scripts/run_sft.sh in a session of its own."""
    environment = {
        **os.environ,
        "MODEL": str(world / "model"),
        "TRAIN": str(world / "sft_trajectory_train.parquet"),
        "RUN": str(run),
        "HARDWARE": "cpu",
        **env,
    }
    command = ["bash", str(ROOT / "scripts" / "run_sft.sh"), FP32, "data.train_batch_size=8", *options]
    run.mkdir(exist_ok=True)
    log = (run / "output.log").open("ab")
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, start_new_session=True, stdout=log, stderr=log
    )


def sft(world, run, *options, **env):
    """Run it to its end; returns the metrics by step."""
    process = start(world, run, *options, **env)
    returncode = process.wait(900)
    assert returncode == 0, (run / "output.log").read_text()[-3000:]
    return metrics(run)


def metrics(run):
    """What verl logged: step -> name -> value; a later start of the run counts where both have a step."""
    found = {}
    for path in sorted((run / "metrics").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found.setdefault(row["step"], {}).update(row["data"])
    return found


def independent_loss(model_dir, rows, mask_of, weight_of):
    """The loss of a batch from the model's own logits: no code of ours or of verl."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir, dtype=torch.float32).eval()
    total = weights = 0.0
    for row in rows:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        encoded = tokenizer(text, return_offsets_mapping=True, return_tensors="pt", add_special_tokens=False)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            logits = model(**encoded).logits[0, :-1].log_softmax(-1)
        nll = -logits.gather(-1, encoded["input_ids"][0, 1:, None])[:, 0]
        spans = mask_of(row, text)
        mask = torch.tensor(
            [any(first < stop and end > begin for begin, stop in spans) for first, end in offsets[1:]]
        )
        total += weight_of(row) * float(nll[mask].sum())
        weights += weight_of(row) * int(mask.sum())
    return total / weights


def assistant_spans(row, text):
    """Where the assistant's trained messages stand in the text, end token included."""
    spans, position = [], 0
    trained = iter(row["turn_train"])
    for message in row["messages"]:
        if message["role"] == "assistant":
            begin = text.index("<|im_start|>assistant\n" + message["content"], position)
            begin += len("<|im_start|>assistant\n")
            position = begin + len(message["content"])
            if next(trained):
                spans.append((begin, position + len("<|im_end|>")))
    return spans


def search_spans(row, text):
    """Where the searches of trained messages stand."""
    spans = []
    for begin, stop in assistant_spans(row, text):
        first, last = text.find("<search>", begin, stop), text.find("</search>", begin, stop)
        if first >= 0:
            spans.append((first, last + len("</search>")))
    return spans


@pytest.mark.parametrize(
    ("mask", "weight", "spans", "weigh"),
    [
        ("assistant", "rank-score", assistant_spans, lambda row: row["rank_score"]),
        ("search-only", "binary", search_spans, lambda row: 1.0 if row["best_rank"] == 1 else 0.5),
    ],
)
def test_the_loss_is_that_of_an_independent_computation(world, tmp_path, mask, weight, spans, weigh):
    """One step over all 32 rows, so that the order of rows does not matter; step 1 is before any update."""
    found = sft(
        world, tmp_path / "run", "data.train_batch_size=32", "trainer.total_training_steps=1", MASK=mask, WEIGHT=weight
    )  # fmt: skip
    rows = pq.read_table(world / "sft_trajectory_train.parquet").to_pylist()
    wanted = independent_loss(world / "model", rows, spans, weigh)
    assert found[1]["train/loss"] == pytest.approx(wanted, rel=1e-4)


def test_the_loss_of_conversations_with_page_images_is_exact_too(world, shown, tmp_path):
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    train = shown / "sft_trajectory_train.parquet"
    rows = pq.read_table(train).to_pylist()
    assert len(rows) > 3 and all(row["images"] for row in rows)
    size = f"data.train_batch_size={len(rows)}"
    found = sft(world, tmp_path / "run", size, "trainer.total_training_steps=1", TRAIN=str(train))
    processor = AutoProcessor.from_pretrained(world / "model")
    model = AutoModelForImageTextToText.from_pretrained(world / "model", dtype=torch.float32).eval()
    opening = processor.tokenizer.encode("<|im_start|>assistant\n")
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    total = weights = 0.0
    for row in rows:
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row["messages"])
        text = text.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>")
        images = [Image.open(image["image"]) for image in row["images"]]
        inputs = processor(text=[text], images=images, return_tensors="pt")
        with torch.no_grad():
            logits = model(**inputs).logits[0, :-1].log_softmax(-1)
        nll = -logits.gather(-1, inputs["input_ids"][0, 1:, None])[:, 0]
        spans = training_lab.policy_spans(inputs["input_ids"][0].tolist(), opening, end)
        for (first, stop), trained in zip(spans, row["turn_train"], strict=True):
            total += trained * row["rank_score"] * float(nll[first - 1 : stop - 1].sum())
            weights += trained * row["rank_score"] * (stop - first)
    assert found[1]["train/loss"] == pytest.approx(total / weights, rel=1e-4)


def test_killed_at_ten_random_moments_it_ends_as_an_undisturbed_run(world, tmp_path):
    """Each kill in another tenth of the time that an undisturbed run takes: start-up, steps, checkpoints, export."""
    options = ("trainer.total_epochs=6", "trainer.save_freq=1", "optim.lr=1e-3")
    started = time.monotonic()
    whole = sft(world, tmp_path / "whole", *options)
    seconds = time.monotonic() - started
    assert set(whole) == set(range(1, 25))
    assert whole[24]["val/loss"] < whole[4]["val/loss"] < 9  # ln(vocabulary) is about 9
    draw = random.Random(0)
    moments = [0.9 * (number + draw.random()) / 10 for number in range(10)]
    draw.shuffle(moments)
    broken, run, hit = tmp_path / "broken-1", 1, []
    while moments:
        process = start(world, broken, *options)
        try:
            returncode = process.wait(moments[-1] * seconds)
        except subprocess.TimeoutExpired:
            hit.append((round(moments.pop() * seconds, 1), *state(broken)))
            training_lab.kill(process)
            continue
        assert returncode == 0, (broken / "output.log").read_text()[-3000:]
        same(tmp_path / "whole", broken)
        moments[-1] /= 2  # it was done before its moment came: kill another one earlier
        run += 1
        broken = tmp_path / f"broken-{run}"
    print("killed after s, at step, in:", *hit, sep="\n")  # noqa: T201
    sft(world, broken, *options)
    same(tmp_path / "whole", broken)
    assert {"start", "steps"} <= {kind for _, _, kind in hit}


def state(run):
    """The step that a run resumes at, and what it is doing: its start, its steps, a checkpoint, or its export."""
    marker = run / "checkpoints" / "latest_checkpointed_iteration.txt"
    step = int(marker.read_text()) if marker.exists() else 0
    newest = max((int(path.name.split("_")[-1]) for path in run.glob("checkpoints/global_step_*")), default=0)
    log = (run / "output.log").read_text().rpartition("[sft] ")[2]
    if "step:" not in log:
        return step, "start"
    if "Final validation metrics" in log:
        return step, "export"
    return step, "checkpoint" if newest > step else "steps"


def same(whole, broken):
    """The runs have the same losses at every step, and the same weights at the end, bit by bit."""
    from safetensors.torch import load_file

    losses = [metrics(run) for run in (whole, broken)]
    assert set(losses[0]) == set(losses[1])
    for step in losses[0]:
        assert losses[1][step]["train/loss"] == pytest.approx(losses[0][step]["train/loss"], rel=1e-4)
    weights = [load_file(run / "model" / "model.safetensors") for run in (whole, broken)]
    assert all(tensor.equal(weights[1][name]) for name, tensor in weights[0].items())


@pytest.mark.parametrize("launcher", ["torchrun", "ray"])
def test_two_ranks_learn_the_same_as_one(world, tmp_path, launcher):
    options = ("data.train_batch_size=32", "trainer.total_training_steps=2", "optim.lr=1e-3")
    one = sft(world, tmp_path / "one", *options)
    two = sft(world, tmp_path / "two", *options, RANKS="2", LAUNCHER=launcher)
    for step in (1, 2):
        assert two[step]["train/loss"] == pytest.approx(one[step]["train/loss"], rel=1e-3)


def test_an_adapter_is_trained_merged_and_handed_over_to_grpo(world, tmp_path):
    """SFT 2 steps -> merge -> GRPO 2 steps; and GRPO 2 steps on the adapter itself."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    from drag_rl.training.merge import merge_adapter

    run = tmp_path / "sft"
    sft(world, run, "trainer.total_training_steps=2", "optim.lr=1e-2", LORA_RANK="8")
    merged = merge_adapter(run / "adapter", tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(merged)
    inputs = tokenizer("<|im_start|>user\nWhere is the seal?<|im_end|>\n", return_tensors="pt")
    base = AutoModelForImageTextToText.from_pretrained(world / "model", dtype=torch.float32)
    with torch.no_grad():
        plain = base(**inputs).logits
        adapted = PeftModel.from_pretrained(base, str(run / "adapter"))(**inputs).logits
        whole = AutoModelForImageTextToText.from_pretrained(merged, dtype=torch.float32)(**inputs).logits
    assert (adapted - plain).abs().max() > 1e-2
    torch.testing.assert_close(whole, adapted, atol=2e-3, rtol=1e-2)
    for name, knobs in {"merged": {"model": merged}, "adapter": {"model": world / "model"}}.items():
        env = {"ADAPTER": str(run / "adapter")} if name == "adapter" else {}
        result = training_lab.train(
            "grpo",
            data=world / "data",
            folder=tmp_path / f"grpo-{name}",
            options=[
                "actor_rollout_ref.rollout.n=4",
                "actor_rollout_ref.actor.optim.lr=1e-3",
                "reward.custom_reward_function.reward_kwargs.weights.format=1.0",
                "trainer.total_training_steps=2",
                "trainer.val_before_train=false",
            ],
            **knobs,
            **env,
        )
        assert result.returncode == 0, result.log[-3000:]
        correlation = result.metric("training/rollout_actor_probs_pearson_corr")
        assert set(correlation) == {1, 2}
        assert min(correlation.values()) > 0.999


def test_a_missing_file_is_one_line(tmp_path):
    result = subprocess.run(
        ["bash", str(ROOT / "scripts" / "run_sft.sh")],
        env={**os.environ, "TRAIN": "nowhere_train.parquet", "HARDWARE": "cpu"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "run_sft: TRAIN=nowhere_train.parquet does not exist: make it with 'drag format'"
    ]


def test_export_of_a_run_without_a_checkpoint_is_one_line(tmp_path):
    command = [sys.executable, "-m", "drag_rl.training.export", "--run", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "no finished checkpoint" in result.stderr
