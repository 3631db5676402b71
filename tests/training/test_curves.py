"""``python -m drag_rl.training.curves``: the loss of SFT and the rewards of RL, as a table and a picture."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from drag_rl.errors import InputError
from drag_rl.training.curves import read_losses


def curves(run):
    command = [sys.executable, "-m", "drag_rl.training.curves", str(run)]
    return subprocess.run(command, capture_output=True, text=True, env=None, check=False)


def log(path, *steps, torn=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"step": step, "data": data}) + "\n" for step, data in steps]
    path.write_text("".join(lines) + torn)


def test_a_resumed_sft_run_has_one_loss_a_step(tmp_path):
    metrics = tmp_path / "metrics"
    first = [(step, {"train/loss": 9.0 - step, "train/lr": 0.1, "train/mfu": 1}) for step in (1, 2, 3)]
    log(metrics / "20260101T000000.jsonl", *first, torn='{"step": 4, "da')
    log(
        metrics / "20260101T000100.jsonl",
        (3, {"train/loss": 6.5}),
        (4, {"train/loss": 5.0}),
        (4, {"val/loss": 5.5}),
    )
    losses = read_losses(metrics)
    assert [means["loss"] for means in losses.values()] == [8.0, 7.0, 6.5, 5.0]
    assert losses[4] == {"loss": 5.0, "validation": 5.5}
    done = curves(tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("supervised fine-tuning", "validation", "5.5", "curves.png"))
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (600, 480)


def test_rollouts_and_validation_have_reward_and_rank_score(tmp_path):
    for folder, reward in (("rollouts", 0.25), ("validation", 0.75)):
        (tmp_path / folder).mkdir()
        row = {"reward": reward, "breakdown": {"rank_score": reward / 2, "turns": 2}}
        (tmp_path / folder / "1.trajectories.jsonl").write_text(json.dumps(row) + "\n")
    done = curves(tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("0.25", "0.125", "0.75", "0.375"))
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1200, 480)


def test_what_is_no_run_is_one_line(tmp_path):
    done = curves(tmp_path)
    assert done.returncode == 2 and "is this a run folder" in done.stderr and done.stderr.count("\n") == 1
    log(tmp_path / "metrics" / "a.jsonl", (1, {"train/loss": 1.0}))
    (tmp_path / "metrics" / "a.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(InputError, match=r"a\.jsonl, line 1: no metrics of a step"):
        read_losses(tmp_path / "metrics")
