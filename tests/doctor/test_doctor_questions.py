"""Each fault of a set of questions has its line, and that line alone; a set without faults has none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from question_faults import FAULTS, World, examined, wrong

from drag_rl.cli.main import main
from drag_rl.doctor.splits import leaks
from drag_rl.doctor.splits.asked import Asked, QuestionFile
from drag_rl.doctor.splits.evidence import number_in, numbers_of
from drag_rl.episode import EpisodeConfig
from drag_rl.near_duplicates import is_near, word_set
from drag_rl.questions import question_to_row
from drag_rl.retrieval import build_index
from drag_rl.types import Question

ALL = [
    "questions",
    "question ids",
    "empty questions",
    "answers",
    "repeated questions",
    "contradicting gold",
    "copied questions",
    "near-duplicate questions",
    "shared documents",
    "documents in pages",
    "gold in pages",
    "answers on gold pages",
    "questions on gold pages",
    "copied documents",
    "copied pages",
    "near-duplicate pages",
]


def test_a_clean_set_is_well_in_every_check(tmp_path: Path) -> None:
    checks = World.clean().write(tmp_path)
    assert list(checks) == ALL and wrong(checks) == {}
    assert "20 in questions.val.parquet" in checks["questions"].detail
    build_index(tmp_path / "pages", tmp_path / "index")
    within = [
        check for check in examined(tmp_path, index=tmp_path / "index").values() if "in index" in check.name
    ]
    assert [check.name for check in within] == ["documents in index", "gold in index"]
    assert all(check.ok for check in within)


@pytest.mark.parametrize(("fault", "lines", "said"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
def test_each_fault_has_its_line(
    fault: Callable[[World], None], lines: dict[str, str], said: str, tmp_path: Path
) -> None:
    world = World.clean()
    fault(world)
    checks = world.write(tmp_path)
    assert wrong(checks) == lines
    assert said in checks[next(iter(lines))].detail


def test_rows_that_are_no_question_are_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from drag_rl.questions import ROW_SCHEMA

    World.clean().write(tmp_path)
    rows = [question_to_row(one, row, "val") for row, one in enumerate(World.clean().splits["val"])]
    rows[3]["extra_info"]["question"] = " "
    rows[5]["reward_model"]["ground_truth"]["page_ids"] = []
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), tmp_path / "questions.val.parquet")
    check = examined(tmp_path)["questions"]
    assert check.status == "fail" and "2 rows are wrong" in check.detail
    assert f"{tmp_path / 'questions.val.parquet'} row 4: question is missing or empty" in check.detail


def test_questions_of_other_documents_or_images_are_no_copies(tmp_path: Path) -> None:
    """A form is asked the same of each document: "What is the date?"."""
    world = World.clean()
    for split, own in world.splits.items():
        world.splits[split] = [
            replace(one, text="What is the date of this?", document=one.gold_page_ids[0].split("#")[0])
            for one in own[::10]
        ]
    assert wrong(world.write(tmp_path)) == {}
    world.change("test", 1, document="")
    assert wrong(world.write(tmp_path)) == {"near-duplicate questions": "warn"}
    world.change("test", 1, images=("photo.png",))
    assert wrong(world.write(tmp_path)) == {}


def test_a_set_without_answers_or_texts_is_no_fault(tmp_path: Path) -> None:
    world = World.clean()
    world.pages = [replace(page, text="") for page in world.pages]
    assert wrong(world.write(tmp_path)) == {}
    world.splits = {split: [replace(one, answers=()) for one in own] for split, own in world.splits.items()}
    assert wrong(world.write(tmp_path)) == {}


def test_a_scope_that_questions_do_not_have_is_doubted(tmp_path: Path) -> None:
    World.clean().write(tmp_path)
    checks = examined(tmp_path, episode=EpisodeConfig(scope="document"))
    assert wrong(checks) == {"scope": "warn"} and "30 of 60 questions" in checks["scope"].detail


def test_the_command_needs_questions_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    World.clean().write(tmp_path)
    files = [str(tmp_path / f"questions.{split}.parquet") for split in ("train", "test")]
    assert doctor("--questions", files[0], "--questions", files[1], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in shown["checks"]] == ALL[:9]
    assert doctor("--questions", files[0], "--questions", files[0]) == 2
    assert "is given twice" in capsys.readouterr().out
    assert doctor("--questions", str(tmp_path / "pages")) == 2
    assert "has no questions.train.parquet" in capsys.readouterr().out


def doctor(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", *words])
    return int(stop.value.code or 0)


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6)), min_size=2, max_size=3)
)
def test_leaks_are_those_of_every_pair(splits: list[list[list[str]]]) -> None:
    files = [
        file_of(f"{number}", [" ".join(words) for words in split]) for number, split in enumerate(splits)
    ]
    leaked = leaks.find_leaks(files)
    found = {one: "copied" for _, one in leaked.copied} | {one: "near" for _, one in leaked.near}
    earlier: list[Asked] = []
    for file in files:
        for one in file.asked:
            expected = None
            if any(one.same == other.same for other in earlier):
                expected = "copied"
            elif any(
                is_near(word_set(one.question.text), word_set(other.question.text)) for other in earlier
            ):
                expected = "near"
            assert found.get(one) == expected
        earlier += file.asked


@settings(max_examples=40)
@given(st.integers(0, 10**12), st.integers(0, 999), st.sampled_from(["${}", "{} %", "€ {}", "({})", "{}"]))
def test_a_number_is_found_however_it_is_written(whole: int, part: int, form: str) -> None:
    value = number_in(form.format(f"{whole}.{part:03}"))
    assert value is not None
    for written in (f"{whole:,}.{part:03}", f"{whole}.{part:03}00", f"It is {whole:,}.{part:03}, or so."):
        assert value in numbers_of(written)


def test_a_question_is_compared_with_a_limited_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few words, each question shares its rarest ones with a great part of the others; the line says so."""
    monkeypatch.setattr(leaks, "MAX_COMPARED", 5)
    draw = random.Random(0)
    texts = [" ".join(draw.sample([f"w{number}" for number in range(12)], 6)) for _ in range(200)]
    found = leaks.find_leaks([file_of("one", texts[:100]), file_of("two", texts[100:])])
    assert found.cut > 50
    said = leaks.near(found)
    assert f"{found.cut} have more candidates than 5" in (said if isinstance(said, str) else said.detail)


def file_of(name: str, texts: Sequence[str]) -> QuestionFile:
    """A file of questions, each of its own gold page."""
    path = Path(name)
    questions = [
        Question(question_id=f"{name} {row}", text=text, gold_page_ids=("d#1",))
        for row, text in enumerate(texts, 1)
    ]
    return QuestionFile(path, [Asked(path, row, one) for row, one in enumerate(questions, 1)], [])
