"""STaR's rounds as command lines: who plays, what it starts from, what is validated on."""

from __future__ import annotations

import pytest

from drag_rl.errors import InputError
from drag_rl.training.launch.star import rounds_and_options
from drag_rl.training.launch.star_commands import Star


@pytest.fixture
def knobs(tmp_path):
    (tmp_path / "data/index").mkdir(parents=True)
    for split in ("train", "val"):
        (tmp_path / f"data/questions.{split}.parquet").touch()
    return {"MODEL": "org/m", "DATA": str(tmp_path / "data"), "RUN": str(tmp_path / "run")}


def after(words, option):
    return words[words.index(option) + 1]


def test_the_first_round_plays_the_untrained_model_and_a_later_one_what_was_trained(knobs):
    star = Star.from_environment({**knobs, "EPISODE": "max_turns=2", "FIRST_EPISODE": "shots=3"}, 3)
    ((first,), (third,)) = (star.collect(number) for number in (1, 3))
    assert (after(first, "--model-path"), after(first, "--episode")) == ("org/m", "max_turns=2 shots=3")
    assert after(third, "--model-path") == str(star.folder(2) / "sft/model")
    assert after(third, "--episode") == "max_turns=2"
    assert (after(first, "--seed"), after(third, "--seed")) == ("101", "103")
    assert after(star.format(3), "--split-from") == str(star.folder(1) / "training_data")
    assert "--split-from" not in star.format(1)
    assert star.train(3)["MODEL"] == "org/m", "every round trains the first model anew"


def test_an_adapter_is_served_beside_its_model(knobs):
    (second,) = Star.from_environment({**knobs, "LORA_RANK": "8"}, 2).collect(2)
    assert after(second, "--model-path") == "org/m"
    assert after(second, "--adapter") == f"adapter={knobs['RUN']}/round-1/sft/adapter"
    assert after(second, "--model") == "adapter"


def test_questions_to_compare_on(knobs, tmp_path):
    star = Star.from_environment(knobs, 1)
    assert after(star.evaluate(2), "--questions") == f"{knobs['DATA']}/questions.val.parquet"
    assert after(star.evaluate(2), "--output") == f"{knobs['RUN']}/after-1-rounds.json"
    assert star.train(1)["VAL"] is None, "SFT takes its own validation rows"
    silent = Star.from_environment({**knobs, "VAL": ""}, 1)
    assert silent.evaluate(1) == [] and silent.train(1)["VAL"] == ""
    with pytest.raises(InputError, match=r"^VAL=typo\.parquet does not exist$"):
        Star.from_environment({**knobs, "VAL": "typo.parquet"}, 1)
    (tmp_path / "data/questions.val.parquet").unlink()
    assert Star.from_environment(knobs, 1).evaluate(1) == [], "nothing to compare on"


def test_options_of_the_trainer_stand_after_the_rounds():
    assert rounds_and_options([]) == (1, [])
    assert rounds_and_options(["--rounds", "1", "--rounds", "3", "--", "--", "a=1"]) == (3, ["--", "a=1"])
    for words in (["--rounds"], ["--rounds", "0"], ["a=1"]):
        with pytest.raises(InputError):
            rounds_and_options(words)
