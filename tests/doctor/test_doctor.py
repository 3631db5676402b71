"""The doctor names what is wrong, and says what is right of a set-up that works."""

from __future__ import annotations

import pytest

from drag_rl.doctor.checks import examine_environment, examine_parts
from drag_rl.episode import EpisodeConfig
from drag_rl.questions import read_questions, write_questions


@pytest.fixture(scope="module")
def world(tiny_data, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "data").symlink_to(tiny_data)
    (folder / "model").symlink_to(tiny_model)
    return folder


def found(**parts):
    given = {"index": None, "questions": None, "model": None, "config": EpisodeConfig(), **parts}
    return {check.name: check for check in examine_parts(**given)}


def test_a_good_set_up_is_well_in_every_check(world):
    data = world / "data"
    checks = found(
        index=data / "index", questions=data / "questions.train.parquet", model=str(world / "model")
    )
    assert {name: check.detail for name, check in checks.items() if not check.ok} == {}
    assert list(checks) == ["index", "questions", "raw question", "gaming the reward", "model"]


def test_this_environment_is_well():
    check = next(examine_environment())
    assert check.ok, check.detail
    assert "verl 0.9.1" in check.detail


@pytest.mark.slow  # another interpreter imports verl
def test_verl_loads_the_plugin():
    *_, check = examine_environment()
    assert (check.name, check.ok) == ("verl plugin", True), check.detail


def test_what_is_wrong_is_named(world, tmp_path):
    questions = read_questions(world / "data" / "questions.train.parquet")
    elsewhere = type(questions[0])(question_id="q", text="Where?", gold_page_ids=("nowhere#1",))
    write_questions(tmp_path / "questions.parquet", [elsewhere], "train")
    checks = found(
        index=world / "data" / "index", questions=tmp_path / "questions.parquet", model=str(tmp_path / "none")
    )
    wrong = {name: check.detail for name, check in checks.items() if not check.ok}
    assert set(wrong) == {"questions", "model"}
    assert "nowhere#1" in wrong["questions"]
    assert "none" in wrong["model"]
    assert not found(index=tmp_path / "nothing")["index"].ok


@pytest.mark.parametrize(
    "settings", [{"action_format": "tools"}, {"observation": "both"}, {"observation": "image", "shots": 2}]
)
def test_the_chat_template_is_checked_for_the_episode(world, settings):
    assert found(model=str(world / "model"), config=EpisodeConfig(**settings))["model"].ok


def test_a_template_that_rewrites_history_is_named(world, tmp_path):
    import shutil

    shutil.copytree(world / "model", tmp_path / "model")
    template = tmp_path / "model" / "chat_template.jinja"
    text = template.read_text()
    assert "message.content" in text or "message['content']" in text
    template.write_text(
        "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper }}<|im_end|>\n{%- endfor %}"
    )
    check = found(model=str(tmp_path / "model"))["model"]
    assert not check.ok
    assert "changes what was said" in check.detail


def test_an_import_of_verl_that_dies_without_a_word_is_said(monkeypatch):
    monkeypatch.setattr("drag_rl.doctor.checks.PLUGIN_LOADS", "import os; os.kill(os.getpid(), 9)")
    (check,) = [check for check in examine_environment() if check.name == "verl plugin"]
    assert not check.ok and check.detail == "importing verl ended with status -9, without a word"
