"""The doctor at work: the set-up of a training, and what the command prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compose_lab import composed
from doctor_lab import TEXTS, of_rewards

from drag_rl.cli.main import main
from drag_rl.doctor.setup import set_up_of

RUN = ["hardware=cpu", "data.val_files=v", "trainer.default_local_dir=c", "drag.index=some/index"]
REWARD = "reward.custom_reward_function.reward_kwargs"


def test_the_set_up_of_a_training_is_read_from_its_configuration():
    config = composed(
        "grpo",
        [
            *RUN,
            "data.train_files='data/q[[]1].parquet'",
            "actor_rollout_ref.model.path=some/model",
            "drag.episode.max_turns=1",
            f"{REWARD}.weights.rank_score=0",
            f"{REWARD}.weights.reciprocal_rank=0.25",
        ],
    )
    set_up = set_up_of(config)
    assert (set_up.index, set_up.pages, set_up.model) == (Path("some/index"), None, "some/model")
    assert set_up.questions == (Path("data/q[1].parquet"),)
    assert set_up.episode.max_turns == 1
    paid = {name: weight for name, weight in set_up.reward.weights.items() if weight}
    assert paid == {"deep_rank": 0.5, "reciprocal_rank": 0.25, "query_length": -0.1}


def drag_doctor(monkeypatch, capsys, *words):
    """Exit code and what was printed, without the checks of the environment."""
    monkeypatch.setattr("drag_rl.cli.doctor.examine_environment", lambda: iter(()))
    with pytest.raises(SystemExit) as stop:
        main(["doctor", *map(str, words)])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


def test_the_command_says_it_for_people_and_for_programs(tmp_path, monkeypatch, capsys):
    of_rewards(tmp_path, TEXTS)
    words = ["--index", tmp_path / "index", "--questions", tmp_path / "questions.parquet"]
    code, said, _ = drag_doctor(monkeypatch, capsys, *words)
    assert code == 0 and "ok    index: bm25, 4 pages" in said and "warn  raw question: " in said
    code, said, _ = drag_doctor(monkeypatch, capsys, *words, "--pages", tmp_path / "index", "--json")
    shown = json.loads(said)
    assert code == 2 and shown["status"] == "fail"
    wrong = [row["name"] for row in shown["checks"] if row["status"] == "fail"]
    assert wrong == ["index pages", "gold in pages"]
    assert set(shown["checks"][0]) == {"name", "status", "detail"}


def test_an_option_that_the_training_would_refuse_is_refused(monkeypatch, capsys):
    code, _, said = drag_doctor(monkeypatch, capsys, "--config", "nothing")
    assert code == 2 and "configs" in said and "grpo" in said
    monkeypatch.setattr(
        "drag_rl.cli.doctor.of_training", lambda *_: set_up_of(composed("grpo", [*RUN, "drag.x=1"]))
    )
    code, _, said = drag_doctor(monkeypatch, capsys, "drag.x=1")
    assert code == 2 and "drag: unknown option 'x'" in said


@pytest.mark.slow  # Hydra reads all of verl's configuration
def test_the_options_of_a_training_are_taken_on_the_command_line(tmp_path, monkeypatch, capsys):
    of_rewards(tmp_path, TEXTS)
    words = ["--index", tmp_path / "index", "--questions", tmp_path / "questions.parquet"]
    code, said, _ = drag_doctor(
        monkeypatch,
        capsys,
        *words,
        "hardware=cpu",
        f"{REWARD}.weights.rank_score=0",
        f"{REWARD}.weights.deep_rank=0.25",
    )
    assert code == 2, "the model that verl has by default is not there"
    assert (
        "ok    rewards: deep_rank=0.25 query_length=-0.1, best search: " in said and "fail  model: " in said
    )
