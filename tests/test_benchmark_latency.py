"""The benchmark of latency runs, and its table has what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trajectory_lab as lab
from fake_openai import FakeServer

from drag_rl.questions import write_questions

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "latency.py"
TOKEN_S = 0.01


@pytest.mark.slow
def test_every_part_of_an_iteration_is_timed(tmp_path: Path) -> None:
    lab.make_index(tmp_path)
    write_questions(tmp_path / "q.parquet", lab.QUESTIONS, "test")
    with FakeServer(lambda _: "<search>seal impeller</search>", token_s=TOKEN_S) as server:
        command = [sys.executable, str(SCRIPT), str(tmp_path / "index"), str(tmp_path / "q.parquet")]
        command += [server.url, "small"]
        environment = os.environ | {"QUESTIONS": "20"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("│")]
    rows = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in lines]
    assert [row[:3] for row in rows] == [
        [name, users, "20"] for name in ("local", "http") for users in ("1", "16")
    ]
    for row in rows:
        p50 = [float(cell.partition(" /")[0]) for cell in row[3:]]
        _, waiting, first_token, decoding, search, _, whole = p50
        # Where the client is busy with many, the first token may have come before it looks.
        assert waiting + first_token >= 900 * TOKEN_S and whole > decoding >= 900 * TOKEN_S and search > 0
