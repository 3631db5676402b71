"""``drag data``: the makers of data are its subcommands, with the options that their modules have by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_corpus import page_of
from typer.main import get_command

from data_preprocess import (
    build,
    convert,
    export,
    judged_questions,
    pickled_labels,
    sample_corpus,
    user_questions,
)
from data_preprocess.datasets import Dataset
from drag_rl.cli.data import data
from drag_rl.cli.main import main
from drag_rl.corpus.pages import load_pages
from drag_rl.errors import InputError
from drag_rl.questions import read_questions
from drag_rl.tables import Table
from drag_rl.types import Question

MAKERS = {
    "sample": sample_corpus,
    "build": build,
    "questions": user_questions,
    "qrels": judged_questions,
    "labels": pickled_labels,
    "convert": convert,
    "export": export,
}
QUESTION = Question(question_id="q", text="What is round?", gold_page_ids=("moon#1",))


def moon(source: Path) -> Dataset:
    return Dataset(pages=[page_of("moon", 1, source.read_text())], questions={"test": [QUESTION]})


def lost(source: Path) -> Dataset:
    return Dataset(pages=[page_of("sun", 1, source.read_text())], questions={"test": [QUESTION]})


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(convert, "DATASETS", Table("data set", {"moon": moon, "lost": lost}))
    (tmp_path / "moon.txt").write_text("The moon is round.")
    return tmp_path / "moon.txt"


def test_each_maker_is_one_app_mounted_twice() -> None:
    assert list(get_command(data).commands) == list(MAKERS)
    for name, module in MAKERS.items():
        alone, mounted = get_command(module.app), get_command(data).commands[name]
        assert [option.opts for option in mounted.params] == [option.opts for option in alone.params]


def test_a_data_set_becomes_pages_and_questions(tmp_path: Path, source: Path) -> None:
    for _ in range(2):  # and again over its own files
        convert.convert_dataset("moon", source, tmp_path / "pages", tmp_path / "questions")
    assert [page.text for page in load_pages(tmp_path / "pages")] == ["The moon is round."]
    assert read_questions(tmp_path / "questions/questions.test.parquet") == [QUESTION]


def test_a_gold_page_that_is_not_there_is_named(tmp_path: Path, source: Path) -> None:
    with pytest.raises(InputError, match="gold page 'moon#1' of test question 'q' is not among its pages"):
        convert.convert_dataset("lost", source, tmp_path / "pages", tmp_path / "questions")
    assert not (tmp_path / "pages/pages.parquet").exists()


def test_a_cluster_is_for_images_pdfs_and_lines(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(
            ["data", "convert", "moon", "--source", f"{source}", "--out", f"{source.parent / 'out'}", "--ray"]
        )
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "drag: --ray: moon has no images, no PDFs, and no texts of a line each; leave it out\n"
    )
    assert not (source.parent / "out").exists()


@pytest.mark.usefixtures("source")
def test_an_unknown_data_set_is_one_line_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", "convert", "sun", "--source", "x", "--out-pages", "a", "--out", "b"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "drag: NAME: unknown data set 'sun'; known data sets: moon, lost\n"


def test_without_any_data_set_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(convert, "DATASETS", Table("data set", {}))
    with pytest.raises(InputError, match="no data set can be converted: none is in the table"):
        convert.convert_dataset("moon", tmp_path, tmp_path / "pages", tmp_path / "questions")
