"""``python -m drag_rl.training.curves``: the loss of SFT and the rewards of RL, as a table and a picture."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.stats import sem as scipy_sem

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.training.curves import Line, app, draw, read_losses
from drag_rl.training.dumps import changes, means, read_steps


def curves(run):
    with pytest.raises(SystemExit) as stop:
        run_app(app, "curves", [str(run)])
    return stop.value.code


def log(path, *steps, torn=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"step": step, "data": data}) + "\n" for step, data in steps]
    path.write_text("".join(lines) + torn)


def test_a_resumed_sft_run_has_one_loss_a_step(tmp_path, capsys):
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
    assert curves(tmp_path) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("supervised fine-tuning", "validation", "5.5", "curves.png"))
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (600, 480)


def test_a_retriever_has_losses_and_what_it_finds(tmp_path, capsys):
    log(
        tmp_path / "metrics" / "a.jsonl",
        (0, {"val/ndcg@5": 0.125, "val/mrr": 0.25}),
        (1, {"train/loss": 3.5}),
        (1, {"val/ndcg@5": 0.875, "val/mrr": 0.75, "val/loss_of_another": 1}),
    )
    assert curves(tmp_path) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("retriever", "nDCG@5", "0.875", "0.125", "3.5"))
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1200, 480)


def dump(folder, step, rewards):
    """A step's trajectories: question -> the rewards of its samples."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "reward": reward,
            "breakdown": {"rank_score": reward / 2, "turns": 2},
            "outcome": {"question": {"question_id": question}},
        }
        for question, samples in rewards.items()
        for reward in samples
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{step}.trajectories.jsonl").write_text(text)


def test_rollouts_and_validation_have_reward_and_rank_score(tmp_path, capsys):
    dump(tmp_path / "rollouts", 1, {"a": [0.25]})
    dump(tmp_path / "validation", 1, {"a": [0.75]})
    assert curves(tmp_path) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("0.25", "0.125", "0.75", "0.375"))
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1200, 480)


def test_the_change_is_paired_by_question(tmp_path):
    """Held against scipy's paired interval, with the normal quantile that the docstring names."""
    first = {"a": [0.0, 0.2], "b": [0.5, 0.5], "c": [1.0, 0.6], "gone": [0.0]}
    later = {"a": [0.4, 0.4], "b": [0.5, 0.7], "c": [0.9, 0.9], "new": [1.0]}
    dump(tmp_path, 0, first)
    dump(tmp_path, 10, later)
    dump(tmp_path, 20, {"a": [1.0]})
    steps = read_steps(tmp_path)
    differences = np.array([0.3, 0.1, 0.1])
    change, half = changes(steps, "reward")[10]
    assert change == pytest.approx(differences.mean())
    assert half == pytest.approx(1.96 * scipy_sem(differences))
    assert list(changes(steps, "reward")) == [10]  # one shared question says nothing
    assert changes({}, "reward") == {} and means(steps)[0]["n"] == 7


def test_a_picture_names_only_lines_that_it_has(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: shown.append(figure))
    panel = [
        Line(label="there", points={0: 1.0, 1: 2.0}, errors={1: 0.5}),
        Line(label="not there", points={}, errors={}),
    ]
    draw({"reward": panel}, tmp_path / "a.png")
    assert [text.get_text() for text in shown[0].axes[0].get_legend().get_texts()] == ["there"]


def test_what_is_no_run_is_one_line(tmp_path):
    command = [sys.executable, "-m", "drag_rl.training.curves", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "is this a run folder" in done.stderr and done.stderr.count("\n") == 1
    log(tmp_path / "metrics" / "a.jsonl", (1, {"train/loss": 1.0}))
    (tmp_path / "metrics" / "a.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(InputError, match=r"a\.jsonl, line 1: no metrics of a step"):
        read_losses(tmp_path / "metrics")
