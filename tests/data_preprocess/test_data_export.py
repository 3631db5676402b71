"""What is exported is read back as what it was."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_corpus import page_of

from data_preprocess.convert import convert_dataset
from data_preprocess.export import export_collection
from data_preprocess.question_set import write_question_set
from drag_rl.corpus.pages import load_pages, write_pages
from drag_rl.errors import InputError
from drag_rl.questions import read_questions
from drag_rl.splits import Split
from drag_rl.types import Question

SPLITS: dict[Split, list[Question]] = {
    "train": [
        Question(question_id="t 1", text="Rotor?", gold_page_ids=("a b#2", "a b#1"), gold_grades=(3, 1))
    ],
    "val": [Question(question_id="v1", text="A pump?", gold_page_ids=("c#1",))],
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder of questions, and in it one of pages."""
    pages = [
        page_of("a b", 1, "Rotor\tblades"),
        page_of("a b", 2, 'The "rotor"'),
        page_of("c", 1, "Pump\nseal"),
    ]
    write_pages(tmp_path / "made/pages", pages, stage="ingest", pdf_dir=None)
    write_question_set(
        tmp_path / "made", SPLITS, stage="questions", inputs={}, config={}, dropped={}, seconds=0.0
    )
    return tmp_path / "made"


def test_beir_goes_out_and_comes_back(made: Path, tmp_path: Path) -> None:
    for _ in range(2):  # and again over its own files
        export_collection(made, made / "pages", tmp_path / "out", "beir")
    convert_dataset("beir", tmp_path / "out", tmp_path / "back/pages", tmp_path / "back")
    texts = [page.text for page in load_pages(tmp_path / "back/pages")]
    assert texts == [page.text for page in load_pages(made / "pages")]
    for split, questions in SPLITS.items():
        (back,) = read_questions(tmp_path / f"back/questions.{split}.parquet")
        (was,) = questions
        assert (back.question_id, back.text, back.grades) == (was.question_id, was.text, was.grades)
        assert back.gold_page_ids == tuple(f"{page_id}#1" for page_id in was.gold_page_ids)


def test_mteb_has_a_file_for_each_part_and_split(made: Path, tmp_path: Path) -> None:
    manifest = export_collection(made, made / "pages", tmp_path / "out", "mteb")
    assert set(manifest.files or ()) == {
        "README.md",
        "corpus/test-00000-of-00001.parquet",
        *(
            f"{part}/{split}-00000-of-00001.parquet"
            for part in ("qrels", "queries")
            for split in ("train", "dev")
        ),
    }
    judged = pq.read_table(tmp_path / "out/qrels/train-00000-of-00001.parquet").to_pylist()
    assert judged == [
        {"query-id": "t 1", "corpus-id": "a b#2", "score": 3},
        {"query-id": "t 1", "corpus-id": "a b#1", "score": 1},
    ]
    card = (tmp_path / "out/README.md").read_text()
    assert "- config_name: qrels\n  data_files:\n  - split: train\n    path: qrels/train-*\n" in card


def test_what_cannot_be_exported_is_one_line(made: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--images: a collection of BEIR has none"):
        export_collection(made, made / "pages", tmp_path / "out", "beir", images=True)
    write_pages(tmp_path / "few", [page_of("c", 1, "Pump")], stage="ingest", pdf_dir=None)
    with pytest.raises(InputError, match="train question 't 1': gold page 'a b#2' is not among --pages"):
        export_collection(made, tmp_path / "few", tmp_path / "out", "beir")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"holds no questions\.train"):
        export_collection(tmp_path / "few", made / "pages", tmp_path / "out", "beir")
