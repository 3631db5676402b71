"""Questions survive the way to verl and back, through its own data set class too."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.errors import InputError
from drag_rl.questions import (
    ROW_SCHEMA,
    question_from_row,
    question_to_row,
    read_questions,
    write_questions,
)
from drag_rl.types import Question

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
question_strategy = st.builds(
    Question,
    question_id=texts,
    text=st.one_of(texts, st.just("what is <image> in HTML?")),
    gold_page_ids=st.lists(texts, min_size=1, max_size=3, unique=True).map(tuple),
    answers=st.lists(texts, max_size=2).map(tuple),
    data_source=st.sampled_from(["faq", "outline", "index", "user"]),
    images=st.lists(st.just("photo.png"), max_size=2).map(tuple),
).flatmap(
    lambda question: (
        st.just(question)
        | st.lists(
            st.integers(1, 4), min_size=len(question.gold_page_ids), max_size=len(question.gold_page_ids)
        ).map(lambda grades: replace(question, gold_grades=tuple(grades)))
        | texts.map(
            lambda document: replace(
                question,
                gold_page_ids=tuple(
                    f"{document}#{number}" for number, _ in enumerate(question.gold_page_ids, 1)
                ),
                document=document,
            )
        )
    )
)
PLAIN = Question(question_id="q1", text="How?", gold_page_ids=("doc#1",))


@settings(max_examples=50, deadline=None)
@given(st.lists(question_strategy, min_size=1, max_size=5, unique_by=lambda question: question.question_id))
def test_questions_come_back_as_they_were(questions: list[Question]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "questions.train.parquet"
        assert write_questions(path, questions, "train") == len(questions)
        assert read_questions(path) == questions
        assert pq.read_schema(path).remove_metadata() == ROW_SCHEMA
        frame = pd.read_parquet(path)  # numpy arrays and numpy strings, as verl hands rows on
        assert [question_from_row(row) for row in frame.to_dict("records")] == questions


@given(question_strategy)
def test_a_prompt_has_one_image_token_an_image(question: Question) -> None:
    (message,) = question_to_row(question, 0, "train")["prompt"]
    assert message["role"] == "user"
    if question.images:
        assert message["content"].count("<image>") == len(question.images)
    else:
        assert message["content"] == question.text


def test_a_gold_page_that_is_named_twice_counts_once() -> None:
    row = question_to_row(PLAIN, 0, "train")
    row["reward_model"]["ground_truth"]["page_ids"] = ["doc#1", "doc#2", "doc#1"]
    assert question_from_row(row).gold_page_ids == ("doc#1", "doc#2")
    with pytest.raises(ValueError, match=r"question 'q': gold page 'doc#1' is duplicated"):
        Question(question_id="q", text="How?", gold_page_ids=("doc#2", "doc#1", "doc#1"))


def test_grades_that_are_all_one_are_no_grades_and_older_files_have_none() -> None:
    two = replace(PLAIN, gold_page_ids=("doc#1", "doc#2"))
    assert replace(two, gold_grades=(1, 1)) == two and two.grades == (1, 1)
    assert replace(two, gold_grades=(1, 2)).grades == (1, 2)
    row = question_to_row(two, 0, "train")
    del row["reward_model"]["ground_truth"]["grades"]
    assert question_from_row(row) == two


def test_a_question_is_asked_of_one_document_and_older_files_know_none() -> None:
    row = question_to_row(replace(PLAIN, document="doc"), 0, "train")
    assert question_from_row(row).document == "doc"
    for none in (None, "", np.str_("")):
        row["extra_info"]["document"] = none
        assert question_from_row(row) == PLAIN
    del row["extra_info"]["document"]
    assert question_from_row(row) == PLAIN
    for wrong, named in ((7, "is not a text"), ("do", "gold page 'doc#1' is no page of 'do', the document")):
        row["extra_info"]["document"] = wrong
        with pytest.raises(InputError, match=f"extra_info.document.*{named}"):
            question_from_row(row)


@pytest.mark.parametrize(
    ("grades", "named"),
    [
        ([2, 1], "has 2 grades for 1 gold pages"),
        ([0], "grade 0, which is not a whole number from 1 to 1000"),
        ([1001], "grade 1001, which is not"),
        ([0.5], "grades is not a list of whole numbers"),
        (2, "grades is not a list of whole numbers"),
        ("2", "grades is not a list of whole numbers"),
        ([None], "grades is not a list of whole numbers"),
    ],
)
def test_a_wrong_grade_is_named(grades: object, named: str) -> None:
    row = question_to_row(PLAIN, 0, "test")
    row["reward_model"]["ground_truth"]["grades"] = grades
    with pytest.raises(InputError, match=named):
        question_from_row(row)


def test_numpy_values_are_taken() -> None:
    row = question_to_row(PLAIN, 3, "test")
    row["data_source"] = np.str_("user")
    row["reward_model"]["ground_truth"]["page_ids"] = np.array(["doc#1"], dtype=object)
    row["reward_model"]["ground_truth"]["grades"] = np.array([1])
    row["extra_info"]["images"] = None
    question = question_from_row(row)
    assert question == PLAIN and type(question.data_source) is str


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda row: row["extra_info"].update(question=" "), "question is missing"),
        (lambda row: row["extra_info"].pop("question_id"), "question_id is missing"),
        (lambda row: row.update(reward_model=None), "reward_model is missing"),
        (lambda row: row["reward_model"].pop("ground_truth"), "reward_model.ground_truth is missing"),
        (lambda row: row["reward_model"]["ground_truth"].update(page_ids=[]), "page_ids is empty"),
        (lambda row: row["reward_model"]["ground_truth"].update(page_ids="doc#1"), "not a list of texts"),
        (
            lambda row: row["reward_model"]["ground_truth"].update(page_ids=7),
            "page_ids is not a list of texts",
        ),
        (lambda row: row["extra_info"].update(images={"a.png": 1}), "images is not a list of texts"),
        (lambda row: row["extra_info"].update(question_id=0), "question_id is missing or empty"),
        (lambda row: row.pop("data_source"), "data_source is missing"),
    ],
)
def test_a_wrong_row_is_named(spoil, named: str) -> None:
    row = question_to_row(PLAIN, 0, "test")
    spoil(row)
    with pytest.raises(InputError, match=named):
        question_from_row(row)


def write_one(folder: Path) -> Path:
    write_questions(folder / "one.parquet", [PLAIN], "test")
    return folder / "one.parquet"


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.parquet: no such file"):
        read_questions(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InputError, match=r"text\.parquet: is not a file of questions"):
        read_questions(tmp_path / "text.parquet")
    pd.DataFrame({"question": ["How?"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"other\.parquet"):
        read_questions(tmp_path / "other.parquet")
    pq.write_table(pq.read_table(write_one(tmp_path)).slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(InputError, match=r"empty\.parquet: has no question"):
        read_questions(tmp_path / "empty.parquet")
    (tmp_path / "empty.parquet").unlink()
    with pytest.raises(InputError, match=r"row 2.*is duplicated"):
        write_questions(tmp_path / "twice.parquet", [PLAIN, PLAIN], "train")
    with pytest.raises(InputError, match="no question"):
        write_questions(tmp_path / "empty.parquet", [], "val")
    assert not list(tmp_path.glob("[et]*y.parquet")) and not (tmp_path / "twice.parquet").exists()


def test_the_columns_are_those_of_search_r1(tmp_path: Path) -> None:
    """Its ``scripts/data_process`` write these, and its reward reads ``ground_truth["target"]``."""
    write_questions(tmp_path / "q.parquet", [replace(PLAIN, answers=("42", "forty-two"))], "train")
    (row,) = pq.read_table(tmp_path / "q.parquet").to_pylist()
    assert {"data_source", "prompt", "ability", "reward_model", "extra_info"} <= row.keys()
    assert row["prompt"] == [{"role": "user", "content": PLAIN.text}]
    assert row["ability"] == "fact-reasoning"
    assert row["reward_model"]["style"] == "rule"
    assert row["reward_model"]["ground_truth"]["target"] == ["42", "forty-two"]
    assert {name: row["extra_info"][name] for name in ("split", "index")} == {"split": "train", "index": 0}


def test_verl_loads_the_files(tmp_path: Path) -> None:
    rl_dataset = pytest.importorskip("verl.utils.dataset.rl_dataset")
    from omegaconf import OmegaConf

    files = []
    for split, questions in {
        "train": [PLAIN, Question(question_id="q2", text="Why?", gold_page_ids=("doc#2", "doc#3"))],
        "val": [Question(question_id="q3", text="Who?", gold_page_ids=("doc#1",), answers=("me",))],
        "test": [Question(question_id="q4", text="When?", gold_page_ids=("doc#9",))],
    }.items():
        files.append(str(tmp_path / f"questions.{split}.parquet"))
        write_questions(Path(files[-1]), questions, split)
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(tmp_path / "cache")})
    dataset = rl_dataset.RLHFDataset(files, tokenizer=None, config=config)
    items = [dataset[number] for number in range(len(dataset))]
    assert [item["raw_prompt"] for item in items] == [
        [{"role": "user", "content": text}] for text in ("How?", "Why?", "Who?", "When?")
    ]
    assert [item["index"] for item in items] == [0, 1, 0, 0]
    assert [item["reward_model"]["ground_truth"]["target"] for item in items] == [[], [], ["me"], []]
    assert [item["data_source"] for item in items] == ["user"] * 4
    batch = rl_dataset.collate_fn(items)
    rows = [{name: values[number] for name, values in batch.items()} for number in range(3)]
    assert question_from_row(rows[1]).gold_page_ids == ("doc#2", "doc#3")
    assert question_from_row(rows[2]).answers == ("me",)


def test_verl_builds_messages_with_images(tmp_path: Path) -> None:
    rl_dataset = pytest.importorskip("verl.utils.dataset.rl_dataset")
    from omegaconf import OmegaConf

    question = Question(
        question_id="q1", text="What is an <image> tag?", gold_page_ids=("doc#1",), images=("a.png", "b.png")
    )
    path = tmp_path / "questions.train.parquet"
    write_questions(path, [question], "train")
    config = OmegaConf.create({"filter_overlong_prompts": False, "cache_dir": str(tmp_path / "cache")})
    dataset = rl_dataset.RLHFDataset(str(path), tokenizer=None, config=config, processor=object())
    (message,) = dataset[0]["raw_prompt"]
    assert [part["type"] for part in message["content"]] == ["image", "image", "text"]
    assert message["content"][0]["image"] == "a.png"
