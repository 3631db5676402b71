"""Every layout of ViDoRe becomes pages and questions, and agrees with what pandas reads in the same files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import vidore_lab

from data_preprocess.convert import convert_dataset
from data_preprocess.selection import Selection
from drag_rl.corpus.images import PageImages
from drag_rl.corpus.pages import load_pages, pages_manifest
from drag_rl.errors import InputError
from drag_rl.questions import read_questions
from drag_rl.types import Question


def convert(source: Path, out: Path, selection: Selection | None = None):
    """Manifest, pages by id, and the test questions by text."""
    manifest = convert_dataset("vidore", source, out / "pages", out, selection)
    pages = {page.page_id: page for page in load_pages(out / "pages")}
    file = out / "questions.test.parquet"
    return manifest, pages, {one.text: one for one in read_questions(file)} if file.exists() else {}


def graded(question: Question) -> dict[str, int]:
    return dict(zip(question.gold_page_ids, question.grades, strict=True))


def frame(source: Path, pattern: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(source.glob(pattern))], ignore_index=True)


def test_pairs_are_read_as_the_authors_read_them(tmp_path: Path) -> None:
    source = vidore_lab.v1_pairs(tmp_path / "docvqa")
    manifest, pages, questions = convert(source, tmp_path / "out")
    rows = frame(source, "data/*.parquet")
    asked = rows[rows["query"].notna()].drop_duplicates("query", keep="last")
    assert {text: graded(one) for text, one in questions.items()} == {
        row.query: {f"{row.image_filename}#1": 1} for row in asked.itertuples()
    }
    assert {page.doc_id: page.source_sha256 for page in pages.values()} == {
        row.image_filename: hashlib.sha256(row.image["bytes"]).hexdigest() for row in rows.itertuples()
    }
    assert questions["What is the date?"].answers == ("2 May",)
    assert questions["Who signed it?"].answers == ()
    assert manifest.counts["dropped_queries_without_text"] == 1
    assert manifest.counts["dropped_queries_asked_again"] == 1
    assert (manifest.config["licence"], manifest.config["dataset"]) == (
        "unknown: see the data set's page",
        "vidore",
    )


def test_a_corpus_of_beir_with_floats_bytes_and_holes(tmp_path: Path) -> None:
    source = vidore_lab.v1_beir(tmp_path / "tabfquad_beir")
    manifest, pages, questions = convert(source, tmp_path / "out")
    assert {page_id: page.status for page_id, page in pages.items()} == {
        "0#1": "ok",
        "1#1": "ok",
        "2#1": "failed",
        "3#1": "ok",
    }
    assert {text: graded(one) for text, one in questions.items()} == {
        "zero?": {"1#1": 2, "0#1": 1},
        "one?": {"1#1": 1},
    }
    assert questions["zero?"].gold_page_ids[0] == "1#1", "the best first"
    assert {name: count for name, count in manifest.counts.items() if name.startswith("dropped_")} == {
        "dropped_gold_pages_that_failed": 1,
        "dropped_judgements_of_unknown_pages": 1,
        "dropped_judgements_of_unknown_queries": 1,
        "dropped_judgements_without_grade": 1,
        "dropped_queries_without_text": 1,
        "dropped_questions_whose_gold_failed": 1,
    }
    assert sorted((problem.where, problem.reason) for problem in manifest.problems) == [
        ("corpus/test-00000-of-00001.parquet row 3", "has no image"),
        ("qrels/test-00000-of-00001.parquet row 5", "judges query '3', which has no text"),
        ("qrels/test-00000-of-00001.parquet row 6", "judges '9', which is not in the corpus"),
        ("qrels/test-00000-of-00001.parquet row 7", "score '0.5' is no whole number up to 1000"),
        ("queries/test-00000-of-00001.parquet row 4", "query '3' has no text"),
    ]


def test_documents_languages_and_judgements_of_nothing_in_v2(tmp_path: Path) -> None:
    source = vidore_lab.v2(tmp_path / "esg_reports_v2")
    _, pages, questions = convert(source, tmp_path / "all")
    assert list(pages) == ["x.pdf#1", "x.pdf#2", "y.pdf#1"]
    assert set(questions) == {"What grows?", "Qu'est-ce qui pousse ?"}
    manifest, _, english = convert(source, tmp_path / "english", Selection(languages=("English",)))
    assert {text: graded(one) for text, one in english.items()} == {
        "What grows?": {"x.pdf#2": 1, "y.pdf#1": 1}
    }
    assert manifest.counts["dropped_questions_in_other_languages"] == 1
    assert manifest.counts["dropped_queries_without_relevant_page"] == 1
    with pytest.raises(InputError, match=r"--language german: .* languages: english, french"):
        convert(source, tmp_path / "german", Selection(languages=("german",)))


def test_v3_agrees_with_pandas(tmp_path: Path) -> None:
    source = vidore_lab.v3(tmp_path / "vidore_v3_industrial")
    manifest, pages, questions = convert(source, tmp_path / "out")
    corpus = frame(source, "corpus/*.parquet")
    corpus["page_id"] = corpus["doc_id"] + "#" + (corpus["page_number_in_doc"] + 1).astype(str)
    assert {page_id: page.text for page_id, page in pages.items()} == dict(
        zip(corpus["page_id"], corpus["markdown"], strict=True)
    )
    joined = (
        frame(source, "qrels/*.parquet")
        .merge(frame(source, "queries/*.parquet"), on="query_id")
        .merge(corpus, on="corpus_id")
    )
    assert {text: graded(one) for text, one in questions.items()} == {
        text: dict(zip(group["page_id"], group["score"], strict=True))
        for text, group in joined.groupby("query")
    }
    assert questions["When is the oil changed?"].answers == ("every 50 hours", "50 hours")
    assert questions["What turns?"].answers == ("the rotor",)
    assert {one.data_source for one in questions.values()} == {"vidore_v3_industrial"}
    assert manifest.config["licence"] == "cc-by-4.0"
    assert manifest.config["citation"].startswith("@misc{vidore3,")
    assert pages_manifest(tmp_path / "out/pages").config["licences_of_documents"] == {
        "CC BY 4.0": 1,
        "Public domain": 1,
    }
    shown = PageImages(tmp_path / "out/pages").load("manual#4")
    assert shown.size == (64, 48)


@pytest.mark.parametrize("flat", [False, True], ids=["folders", "flat"])
def test_mteb_with_languages_before_configs(tmp_path: Path, flat: bool) -> None:
    source = vidore_lab.mteb(tmp_path / "set_mteb_format")
    if flat:
        for path in list(source.glob("*-*/test-*.parquet")):
            (source / "data").mkdir(exist_ok=True)
            path.rename(source / "data" / f"{path.parent.name}-{path.name}")
    _, pages, questions = convert(source, tmp_path / "out")
    assert {page_id: page.text for page_id, page in pages.items()} == {
        "corpus-test-0#1": "What grows here is grass.",
        "corpus-test-1#1": "The rotor turns.",
    }
    assert graded(questions["Rotor ?"]) == {"corpus-test-1#1": 2, "corpus-test-0#1": 1}
    assert len(questions) == 4
    _, _, french = convert(source, tmp_path / "french", Selection(languages=("french",)))
    assert set(french) == {"Qu'est-ce qui pousse ?", "Rotor ?"}


def test_languages_whose_pages_differ_are_not_mixed(tmp_path: Path) -> None:
    source = vidore_lab.mteb(tmp_path / "set")
    (source / "french-corpus/test-00000-of-00001.parquet").unlink()
    vidore_lab.write(
        source / "french-corpus/test-00000-of-00001.parquet",
        {
            "id": (vidore_lab.pa.string(), ["corpus-test-0"]),
            "image": (vidore_lab.IMAGE, [vidore_lab.cell("autre")]),
        },
    )
    with pytest.raises(
        InputError, match=r"'corpus-test-0' is another image than in english-corpus.*one language"
    ):
        convert(source, tmp_path / "out")


def test_splits_whose_ids_begin_anew_are_not_mixed(tmp_path: Path) -> None:
    source = vidore_lab.v1_beir(tmp_path / "set")
    name = source / "corpus/train-00000-of-00001.parquet"
    for text in ("zero", "another"):
        image = (vidore_lab.pa.binary(), [vidore_lab.picture(text)])
        vidore_lab.write(name, {"corpus-id": (vidore_lab.pa.int64(), [0]), "image": image})
        if text == "zero":  # the same image again
            assert len(convert(source, tmp_path / text)[1]) == 4
        else:
            with pytest.raises(
                InputError, match=r"row 1: '0' is another image than in corpus/test-.*or split"
            ):
                convert(source, tmp_path / text)


def test_an_id_that_is_there_twice_is_listed(tmp_path: Path) -> None:
    source = vidore_lab.v1_beir(tmp_path / "set")
    images = (vidore_lab.pa.binary(), [vidore_lab.picture(text) for text in ("zero", "one", "other")])
    vidore_lab.write(
        source / "corpus/test-00000-of-00001.parquet",
        {"corpus-id": (vidore_lab.pa.int64(), [0, 1, 0]), "image": images},
    )
    manifest, pages, _ = convert(source, tmp_path / "out")
    assert sorted(pages) == ["0#1", "1#1"]
    assert "corpus id '0' is there twice; the first row is used" in [one.reason for one in manifest.problems]


def test_samples_are_drawn_and_bring_their_pages_where_pages_are_theirs(tmp_path: Path) -> None:
    source = vidore_lab.v1_pairs(tmp_path / "docvqa")
    manifest, pages, questions = convert(source, tmp_path / "out", Selection(max_samples=1))
    (question,) = questions.values()
    assert list(pages) == list(question.gold_page_ids)
    assert manifest.counts["dropped_questions_beyond_max_samples"] == 1
    _, again, same = convert(source, tmp_path / "again", Selection(max_samples=1))
    assert (list(again), list(same)) == (list(pages), list(questions))
    _, whole, _ = convert(vidore_lab.v3(tmp_path / "v3"), tmp_path / "v3-out", Selection(max_samples=1))
    assert len(whole) == 3, "a corpus stays whole"


def test_splits_can_be_made_by_document(tmp_path: Path) -> None:
    source = vidore_lab.v1_pairs(tmp_path / "docvqa")
    convert(source, tmp_path / "out", Selection(test=0.5))
    gold = {
        split: {one.gold_page_ids for one in read_questions(tmp_path / f"out/questions.{split}.parquet")}
        for split in ("train", "test")
    }
    assert [len(pages) for pages in gold.values()] == [1, 1]
    assert not gold["train"] & gold["test"]


def test_running_again_keeps_what_is_there_and_drops_what_is_stale(tmp_path: Path) -> None:
    source = vidore_lab.v1_pairs(tmp_path / "docvqa")
    convert(source, tmp_path / "out")
    images = tmp_path / "out/pages/page_images"
    assert len(list(images.rglob("*.jpg"))) == 3
    before = (tmp_path / "out/pages/pages.parquet").stat().st_mtime_ns
    (images / "own.jpg").write_text("mine")
    whole = next(images.rglob("*/*.jpg"))
    (whole.parent / f".{whole.name}.0123456789ab.tmp").touch()  # as a kill would leave it
    convert(source, tmp_path / "out")
    assert (tmp_path / "out/pages/pages.parquet").stat().st_mtime_ns == before
    convert(source, tmp_path / "out", Selection(max_samples=1))
    assert len(list(images.rglob("*.jpg"))) == 2
    assert (images / "own.jpg").read_text() == "mine"
    assert not list(images.rglob("*.tmp"))


def test_what_is_no_data_set_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        convert(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.parquet file; download"):
        convert(tmp_path / "empty", tmp_path / "out")
    source = vidore_lab.v3(tmp_path / "v3")
    (source / "corpus/test-00000-of-00002.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(InputError, match=r"test-00000-of-00002\.parquet: cannot be read as parquet"):
        convert(source, tmp_path / "out")
    for path in (source / "corpus").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="is no data set of ViDoRe: it has documents, qrels, queries"):
        convert(source, tmp_path / "out")
