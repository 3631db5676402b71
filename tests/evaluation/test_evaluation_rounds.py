"""Rounds of STaR side by side: counts from manifests, metrics from results, gaps where there is nothing yet."""

from __future__ import annotations

import subprocess
import sys

import pytest
import trajectory_lab as lab

from drag_rl.cli.main import main
from drag_rl.errors import InputError
from drag_rl.evaluation.rounds import rounds_table
from drag_rl.files.manifest import write_manifest
from drag_rl.questions import write_questions


def test_each_round_has_a_row(tmp_path):
    lab.make_index(tmp_path / "data")
    write_questions(tmp_path / "q.parquet", lab.QUESTIONS[:3], "val")
    run = tmp_path / "run"
    for number in (0, 2):
        words = ["evaluate", "--questions", tmp_path / "q.parquet", "--index", tmp_path / "data" / "index"]
        words += ["--policy", "raw-question", "--output", run / f"after-{number}-rounds.json"]
        with pytest.raises(SystemExit, match=r"^0$"):
            main([str(word) for word in words])
    for number in (2, 10):
        folder = run / f"round-{number}"
        (folder / "training_data").mkdir(parents=True)
        counts = {"episodes": 40, "solved": 7}
        write_manifest(folder / "trajectories.jsonl", stage="collect", fingerprint="", counts=counts)
        write_manifest(folder / "processed.jsonl", stage="filter", fingerprint="", counts={"valid": 5})
    counts = {"sft_query_train": 4, "sft_query_val": 1, "trajectories": 5}
    write_manifest(run / "round-2" / "training_data", stage="format", fingerprint="", counts=counts)
    command = [sys.executable, "-m", "drag_rl.evaluation.rounds", str(run)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (run / "rounds.md").read_text() == said == rounds_table(run)
    _, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in said.splitlines()]
    assert [row[:6] for row in rows] == [
        ["0", "", "", "", "", ""],
        ["2", "40", "7", "", "5", "4"],
        ["10", "40", "7", "", "5", ""],
    ]
    assert rows[0][6:] == rows[1][6:] == ["1.000", "1.000", "1.000"] and rows[2][6:] == ["", "", ""]


def test_copies_of_a_round_are_no_rounds(tmp_path):
    for name in ("round-1", "round-1.bak", "round-", "round-x", "round-²", "round-01", "round--1"):
        (tmp_path / name).mkdir()
    assert [line.split("|")[1].strip() for line in rounds_table(tmp_path).splitlines()[2:]] == ["0", "1"]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no round-1"):
        rounds_table(tmp_path)
