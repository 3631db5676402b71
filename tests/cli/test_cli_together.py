"""Commands that serve the same model share one vLLM (a stand-in here), which ends with them."""

from __future__ import annotations

import pytest
import vllm_stand_in
from collect_lab import make_data

from drag_rl.cli.together import run
from drag_rl.trajectories.rows import read_trajectories


@pytest.fixture
def started(tmp_path, monkeypatch):
    return vllm_stand_in.install(monkeypatch, tmp_path)


@pytest.fixture
def words(tmp_path):
    """What all commands have in common; the model is a folder that the stand-in does not look into."""
    (tmp_path / "model").mkdir()
    data = make_data(tmp_path)
    shared = ["--questions", data / "questions.parquet", "--index", data / "index", "--concurrency", 8]
    shared += ["--model-path", tmp_path / "model", "--episode", "think=false max_turns=3", "--retries", 0]
    return [str(word) for word in shared]


@pytest.mark.slow  # imports, and three processes that start
def test_one_server_for_all_that_want_its_model(tmp_path, started, words, capsys):
    collect, evaluate = tmp_path / "collect.jsonl", tmp_path / "result.json"
    hinted = tmp_path / "hinted.jsonl"
    commands = [
        "evaluate",
        *words,
        "--output",
        str(evaluate),
        "--then",
        "collect",
        *words,
        "--out",
        str(collect),
    ]
    commands += ["--then", "collect", *words, "--hint-failures", str(collect), "--out", str(hinted)]
    run(commands)
    assert len(list(read_trajectories(collect))) == 12 and evaluate.is_file() and hinted.is_file()
    assert started.read_text().count("\n") == 1 and not vllm_stand_in.running(started)
    run(commands)  # nothing is left to play: nothing is served
    assert started.read_text().count("\n") == 1
    capsys.readouterr()


@pytest.mark.slow
def test_another_model_makes_room_and_a_mistake_ends_all(tmp_path, started, words, capsys):
    (tmp_path / "other").mkdir()
    other = [word.replace(str(tmp_path / "model"), str(tmp_path / "other")) for word in words]
    with pytest.raises(SystemExit) as stop:
        run(
            [
                *("collect", *words, "--limit", "2", "--out", str(tmp_path / "a.jsonl"), "--then"),
                *("collect", *other, "--limit", "2", "--out", str(tmp_path / "b.jsonl"), "--then"),
                *("collect", *words, "--samples", "0", "--then", "collect", *words),
            ]
        )
    assert stop.value.code == 2 and "--samples" in capsys.readouterr().err
    assert {row.model for row in read_trajectories(tmp_path / "b.jsonl")} == {"other"}
    assert started.read_text().count("\n") == 2 and not vllm_stand_in.running(started)
