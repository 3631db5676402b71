"""What is exported is read back as what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from beir.datasets.data_loader import GenericDataLoader
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tiny_corpus import page_of

from data_preprocess.convert import convert_dataset
from data_preprocess.export import export_collection
from data_preprocess.qrels import read_qrels
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


def theirs(folder: Path, split: str) -> tuple[dict[str, Any], dict[str, str], dict[str, dict[str, int]]]:
    """Corpus, queries and judgements, as BEIR's own loader reads them."""
    with tqdm_off():
        return GenericDataLoader(data_folder=str(folder)).load(split=split)


@contextmanager
def tqdm_off() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("beir.datasets.data_loader.tqdm", lambda lines, **_: lines)
        yield


def test_beir_reads_what_we_export(made: Path, tmp_path: Path) -> None:
    export_collection(made, made / "pages", tmp_path / "out", "beir")
    for split, name in (("train", "train"), ("val", "dev")):
        corpus, queries, qrels = theirs(tmp_path / "out", name)
        assert {page_id: row["text"] for page_id, row in corpus.items()} == {
            page.page_id: page.text for page in load_pages(made / "pages")
        }
        asked = SPLITS[split]
        assert queries == {one.question_id: one.text for one in asked}
        assert qrels == {
            one.question_id: dict(zip(one.gold_page_ids, one.grades, strict=True)) for one in asked
        }


names = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=6).map(str.strip)


@settings(max_examples=12)  # each writes files
@given(st.lists(st.tuples(names, names, st.integers(1, 9)), min_size=1, max_size=5))
@example([("0", '"', 1), ('"a" b', "'", 2)])
def test_both_readers_find_the_same_judgements(judged: list[tuple[str, str, int]]) -> None:
    named = {(query, doc): grade for query, doc, grade in judged if query and doc}
    asked = [
        Question(
            question_id=query,
            text="How?",
            gold_page_ids=tuple(f"{doc}#1" for other, doc in named if other == query),
            gold_grades=tuple(grade for (other, _), grade in named.items() if other == query),
        )
        for query in dict.fromkeys(query for query, _ in named)
    ]
    assume(asked)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        pages = [page_of(doc, 1, "x") for doc in sorted({doc for _, doc in named})]
        write_pages(made / "pages", pages, stage="ingest", pdf_dir=None)
        write_question_set(
            made, {"test": asked}, stage="questions", inputs={}, config={}, dropped={}, seconds=0.0
        )
        export_collection(made, made / "pages", made / "out", "beir")
        _, queries, qrels = theirs(made / "out", "test")
        ours: dict[str, dict[str, int]] = {}
        for one in read_qrels(made / "out/qrels/test.tsv"):
            ours.setdefault(one.query_id, {})[one.doc_id] = one.grade
    assert (
        ours
        == qrels
        == {one.question_id: dict(zip(one.gold_page_ids, one.grades, strict=True)) for one in asked}
    )
    assert set(queries) == set(ours)


def test_a_file_without_a_header_loses_nothing_here(made: Path, tmp_path: Path) -> None:
    export_collection(made, made / "pages", tmp_path / "out", "beir")
    path = tmp_path / "out/qrels/train.tsv"
    path.write_text(path.read_text().partition("\n")[2])
    assert sum(map(len, theirs(tmp_path / "out", "train")[2].values())) == 1
    assert len(list(read_qrels(path))) == 2


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
