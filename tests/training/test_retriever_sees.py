"""A tiny Qwen3-VL of random weights learns to see by our own script: from PDFs to an index and its evaluation."""

from __future__ import annotations

import json
import subprocess
import sys

import late_world as lab
import pytest

from drag_rl.training.curves import read_losses


def drag(*words):
    command = [sys.executable, "-m", "drag_rl.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_model_of_random_weights_learns_to_see(late_world, tmp_path):
    """From chance to nearly every held-out page, whose combinations of symbols no page of training shows."""
    shown = {
        document: {frozenset(places) for places in pages} for document, pages in lab.draw_pages().items()
    }
    assert not shown["train"] & shown["held-out"]
    found = lab.curve(late_world / "run", "val/ndcg@5")
    assert found[0] < 0.1 and found[max(found)] >= 0.9, found
    losses = read_losses(late_world / "run" / "metrics")
    assert losses[10]["loss"] > 3 and losses[max(losses)]["loss"] < 0.5  # of 32 pages: ln 32 is 3.5

    # The same through the commands that users have: over all pages, those of training too, which is harder.
    index, results = tmp_path / "index", tmp_path / "late.json"
    model = late_world / "run" / "model"
    drag("index", "--pages", late_world / "pages", "--out", index, "--kind", "late", "--model", model)
    questions = late_world / "questions.val.parquet"
    drag(
        "evaluate",
        "--index",
        index,
        "--questions",
        questions,
        "--policy",
        "raw-question",
        "--output",
        results,
    )
    measured = json.loads(results.read_text())["aggregate"]["first.ndcg@5"]
    assert measured["n"] == lab.PAGES["held-out"] and measured["value"] >= 0.8, measured
