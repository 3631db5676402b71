"""SFT in stock verl on the CPU, by its launch script: kill and resume, ranks, an adapter that is exact and merges."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pyarrow.parquet as pq
import pytest
import training_lab
from sft_lab import ROOT, independent_loss, metrics, search_spans, sft, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TWELVE_STEPS = ("trainer.total_epochs=3", "trainer.save_freq=1", "optim.lr=1e-3")


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    """The folder of a run that nothing disturbs."""
    run = tmp_path_factory.mktemp("sft") / "whole"
    found = sft(world, run, *TWELVE_STEPS)
    assert set(found) == set(range(1, 13))
    assert found[12]["val/loss"] < found[4]["val/loss"] < 9  # ln(vocabulary) is about 9
    return run


def log_of(run):
    """What the run has said since its last start."""
    return (run / "output.log").read_text().rpartition("[sft] ")[2]


def checkpoints(run):
    """The step that the run resumes at, and the newest that there is something of."""
    marker = run / "checkpoints" / "latest_checkpointed_iteration.txt"
    newest = max((int(path.name.split("_")[-1]) for path in run.glob("checkpoints/global_step_*")), default=0)
    return int(marker.read_text() or 0) if marker.exists() else 0, newest


def exports(processes):
    """Whether the export has begun."""
    for process in processes:
        with suppress(psutil.Error):
            if "drag_rl.training.export" in process.cmdline():
                return True
    return False


EVENTS = {
    "it is configured, and loads the model": lambda run, _: (
        (run / "hydra" / ".hydra" / "config.yaml").exists() and "step:" not in log_of(run)
    ),
    "the third step is done": lambda run, _: "step:3 " in log_of(run),
    "a checkpoint is half written": lambda run, _: checkpoints(run)[1] > max(checkpoints(run)[0], 5),
    "the export begins": lambda run, processes: exports(processes) and not (run / "model").exists(),
}
"""In the order in which a run that is killed at each meets them."""


def kill_when(happened, run, process):
    """Kill a run while something is so, as a power cut would: it is halted, and looked at once more, before."""
    deadline = time.monotonic() + 900
    processes, looked = [], 0.0
    while True:
        assert process.poll() is None, f"it ended before:\n{log_of(run)[-3000:]}"
        assert time.monotonic() < deadline
        if time.monotonic() - looked > 0.2:
            processes, looked = training_lab.processes(process), time.monotonic()
        if happened(run, processes):
            for each in processes:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGSTOP)
            if happened(run, processes):
                return training_lab.kill(process)
            for each in processes:
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(signal.SIGCONT)
        time.sleep(0.002)


def test_killed_at_four_events_it_ends_as_an_undisturbed_run(world, whole, tmp_path):
    run = tmp_path / "broken"
    for happened in EVENTS.values():
        kill_when(happened, run, start(world, run, *TWELVE_STEPS))
    sft(world, run, *TWELVE_STEPS)
    same(whole, run)


@pytest.mark.soak
def test_killed_at_ten_random_moments_it_ends_as_an_undisturbed_run(world, tmp_path):
    """Each kill in another tenth of the time that an undisturbed run takes: start-up, steps, checkpoints, export."""
    started = time.monotonic()
    sft(world, tmp_path / "whole", *TWELVE_STEPS)
    seconds = time.monotonic() - started
    draw = random.Random(0)
    moments = [0.9 * (number + draw.random()) / 10 for number in range(10)]
    draw.shuffle(moments)
    broken, run = tmp_path / "broken-1", 1
    while moments:
        process = start(world, broken, *TWELVE_STEPS)
        try:
            returncode = process.wait(moments[-1] * seconds)
        except subprocess.TimeoutExpired:
            print(f"killed after {moments.pop() * seconds:.1f} s, at step {checkpoints(broken)}")  # noqa: T201
            training_lab.kill(process)
            continue
        assert returncode == 0, (broken / "output.log").read_text()[-3000:]
        same(tmp_path / "whole", broken)
        moments[-1] /= 2  # it was done before its moment came: kill another one earlier
        run += 1
        broken = tmp_path / f"broken-{run}"
    sft(world, broken, *TWELVE_STEPS)
    same(tmp_path / "whole", broken)


def same(whole, broken):
    """The runs have the same losses at every step, and the same weights at the end, bit by bit."""
    from safetensors.torch import load_file

    losses = [metrics(run / "metrics") for run in (whole, broken)]
    assert set(losses[0]) == set(losses[1])
    for step in losses[0]:
        assert losses[1][step]["train/loss"] == pytest.approx(losses[0][step]["train/loss"], rel=1e-4)
    weights = [load_file(run / "model" / "model.safetensors") for run in (whole, broken)]
    assert all(tensor.equal(weights[1][name]) for name, tensor in weights[0].items())


@pytest.mark.parametrize("launcher", ["torchrun", "ray"])
def test_two_ranks_learn_the_same_as_one(world, whole, tmp_path, launcher):
    """Their batches hold the same rows: each rank has every other row of one and the same order."""
    one = metrics(whole / "metrics")
    two = sft(world, tmp_path / "two", *TWELVE_STEPS, "trainer.save_freq=-1", RANKS="2", LAUNCHER=launcher)
    assert set(two) == set(one)
    for step in one:
        assert two[step]["train/loss"] == pytest.approx(one[step]["train/loss"], rel=1e-3)


def test_an_adapter_is_trained_and_merged(world, tmp_path):
    """Its first loss is the base model's, to which it adds nothing yet; merged it says what it says beside the base."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    from drag_rl.training.merge import merge_adapter

    run = tmp_path / "sft"
    options = ("data.train_batch_size=32", "trainer.total_training_steps=2", "optim.lr=1e-2")
    found = sft(world, run, *options, LORA_RANK="8", MASK="search-only", WEIGHT="binary")
    rows = pq.read_table(world / "sft_trajectory_train.parquet").to_pylist()
    weigh = lambda row: 1.0 if row["best_rank"] == 1 else 0.5  # noqa: E731
    wanted = independent_loss(world / "model", rows, search_spans, weigh)
    assert found[1]["train/loss"] == pytest.approx(wanted, rel=1e-4)
    merged = merge_adapter(run / "adapter", tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(merged)
    inputs = tokenizer("<|im_start|>user\nWhere is the seal?<|im_end|>\n", return_tensors="pt")
    base = AutoModelForImageTextToText.from_pretrained(world / "model", dtype=torch.float32)
    with torch.no_grad():
        plain = base(**inputs).logits
        adapted = PeftModel.from_pretrained(base, str(run / "adapter"))(**inputs).logits
        merged_logits = AutoModelForImageTextToText.from_pretrained(merged, dtype=torch.float32)(
            **inputs
        ).logits
    assert (adapted - plain).abs().max() > 1e-2
    torch.testing.assert_close(merged_logits, adapted, atol=2e-3, rtol=1e-2)


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
