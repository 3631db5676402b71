"""Files that name questions, in the forms of the DRAG tutorial's scripts, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drag_rl.errors import InputError
from drag_rl.question_ids import QuestionIds, read_question_ids
from drag_rl.types import Question

QUESTIONS = [Question(question_id=name, text="?", gold_page_ids=("a#1",)) for name in ("q1", "q2", "3")]


def split(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    "value",
    [
        {"items": [{"question_id": "q1", "more": 1}, {"question_id": 3}], "name": "ctt_subset_test"},
        [{"question_id": "q1"}, {"id": 3}],
        ["q1", 3],
    ],
    ids=["items", "objects", "ids"],
)
def test_each_form_names_the_same_questions(tmp_path, value) -> None:
    path = split(tmp_path / "test.json", value)
    assert read_question_ids(path, "--include-json") == {"q1", "3"}
    assert [one.question_id for one in QuestionIds(include=(path,)).choose(QUESTIONS)] == ["q1", "3"]
    assert [one.question_id for one in QuestionIds(exclude=(path,)).choose(QUESTIONS)] == ["q2"]


def test_several_files_add_up_and_without_any_all_are_left(tmp_path) -> None:
    one, two = split(tmp_path / "1.json", ["q1"]), split(tmp_path / "2.json", ["q2", "elsewhere"])
    assert QuestionIds().choose(QUESTIONS) == QUESTIONS
    assert QuestionIds(include=(one, two)).choose(QUESTIONS) == QUESTIONS[:2]
    assert QuestionIds(include=(one, two), exclude=(one,)).choose(QUESTIONS) == QUESTIONS[1:2]
    with pytest.raises(InputError, match="--exclude-json: no question is left of 1"):
        QuestionIds(include=(one,), exclude=(one,)).choose(QUESTIONS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read as JSON"),
        ("{}", "names no question"),
        ('{"items": {}}', "names no question"),
        ("[]", "names no question"),
        ('[{"question_id": "q1"}, {"name": "q2"}]', "entry 2 has no question_id"),
        ("[true]", "entry 1 has no question_id"),
        ('["q9"]', "names none of the 3 questions"),
    ],
)
def test_what_names_no_question_is_one_line(tmp_path, text, message) -> None:
    path = tmp_path / "split.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"--include-json .*split\.json: .*{message}"):
        QuestionIds(include=(path,)).choose(QUESTIONS)
