"""Judged queries of TREC and BEIR become questions with graded gold pages, or the line that is wrong is named."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_corpus import page_of

from data_preprocess.judged_pages import JudgedPages
from data_preprocess.judged_questions import app, import_judged
from data_preprocess.qrels import read_qrels
from data_preprocess.topics import read_topics
from drag_rl.console import run_app
from drag_rl.corpus.pages import write_pages
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.questions import read_questions
from drag_rl.types import Question

PAGES = [
    page_of("4983", 1, "A document of one page."),
    page_of("broken", 1, "", status="failed"),
    page_of("manual", 1, "One."),
    page_of("manual", 2, "Two."),
    page_of("my file", 1, "A name with a space."),
]
TOPICS = {"q1": "How, then?", "q2": "Größe?"}


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    write_pages(tmp_path / "pages", PAGES, stage="convert", pdf_dir=None)
    return tmp_path / "pages"


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "scifact"
    (folder / "qrels").mkdir(parents=True)
    lines = [{"_id": name, "text": text, "metadata": {}} for name, text in TOPICS.items()]
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    header = "query-id\tcorpus-id\tscore\n"
    (folder / "qrels/train.tsv").write_text(f"{header}q1\tmy file\t1\nq1\t4983\t2\n")
    (folder / "qrels/test.tsv").write_text(f"{header}q2\tmanual#2\t1.0\nq2\tmanual#1\t0\n")
    return folder


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        run_app(app, "data_preprocess.judged_questions", [str(word) for word in words])
    return int(stop.value.code or 0)


def test_a_folder_of_beir_keeps_its_splits_and_grades(
    tmp_path: Path, pages: Path, beir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for _ in range(2):  # and again over its own files
        assert run("--source", beir, "--pages", pages, "--out", out) == 0
    assert read_questions(out / "questions.train.parquet") == [
        Question(
            question_id="q1",
            text="How, then?",
            gold_page_ids=("4983#1", "my file#1"),
            gold_grades=(2, 1),
            data_source="scifact",
        )
    ]
    assert read_questions(out / "questions.test.parquet")[0].gold_page_ids == ("manual#2",)
    assert not (out / "questions.val.parquet").exists()
    assert read_manifest(out).counts["dropped_judgements_not_relevant"] == 1
    assert "dropped judgements not relevant: 1" in capsys.readouterr().out


def test_trec_topics_and_qrels_say_the_same(tmp_path: Path, pages: Path, beir: Path) -> None:
    (tmp_path / "topics").write_text(
        "<top>\n<num> Number: q1\n<title> Topic: How,\n then?\n<desc> Description:\nWhat?\n</top>\n\n"
        "<top>\n\n<num>q2</num>\n<title>Größe?</title>\n</top>\n"
    )
    (tmp_path / "topics.tsv").write_text("q1\tHow, then?\nq2\tGröße?\n")
    assert read_topics(tmp_path / "topics") == read_topics(tmp_path / "topics.tsv") == TOPICS
    assert read_topics(beir / "queries.jsonl") == TOPICS
    (tmp_path / "train.qrels").write_text("q1 0 4983 2\nq1\t0\tmy%20file#1\t1\nq1 0 manual#1 -2\n")
    (tmp_path / "test.qrels").write_text("q2 Q0 manual#2 1\n")
    out = tmp_path / "out"
    trec = ["--qrels", f"train={tmp_path / 'train.qrels'}", "--qrels", tmp_path / "test.qrels"]
    for topics in ("topics", "topics.tsv"):
        arguments = ["--queries", tmp_path / topics, *trec, "--data-source", "scifact"]
        assert run(*arguments, "--pages", pages, "--out", out) == 0
    import_judged(
        [beir / "queries.jsonl"],
        [("train", beir / "qrels/train.tsv"), ("test", beir / "qrels/test.tsv")],
        pages,
        tmp_path / "same",
        data_source="scifact",
    )
    for split in ("train", "test"):
        name = f"questions.{split}.parquet"
        assert read_questions(out / name) == read_questions(tmp_path / "same" / name)


names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=6)


@settings(max_examples=40)
@given(st.lists(st.tuples(names, names, st.integers(-2, 9)), min_size=1, max_size=6))
def test_qrels_are_read_as_ir_measures_reads_them(judged: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "qrels"
        path.write_text("".join(f"{query} 0 {doc} {grade}\n" for query, doc, grade in judged))
        theirs = [tuple(one)[:3] for one in ir_measures.read_trec_qrels(str(path))]
        assert [(one.query_id, one.doc_id, one.grade) for one in read_qrels(path)] == theirs == judged
        path.write_text("".join(f"{query}\t{doc}\t{grade}\n" for query, doc, grade in judged))
        assert [(one.query_id, one.doc_id, one.grade) for one in read_qrels(path)] == judged, "no header"


def test_what_is_left_out_is_counted(tmp_path: Path, pages: Path, beir: Path) -> None:
    (tmp_path / "qrels").write_text(
        "q1 0 4983 1\nq1 0 4983 1\nq1 0 gone 1\nq1 0 broken 2\nq2 0 manual#1 0\nq3 0 4983 1\n"
    )
    options = ["--queries", beir / "queries.jsonl", "--qrels", tmp_path / "qrels", "--pages", pages]
    assert run(*options, "--out", tmp_path / "out", "--drop-unknown") == 0
    (question,) = read_questions(tmp_path / "out/questions.test.parquet")
    assert question.gold_page_ids == ("4983#1",) and question.grades == (1,)
    counts = read_manifest(tmp_path / "out").counts
    assert {name: count for name, count in counts.items() if name.startswith("dropped_")} == {
        "dropped_judgements_not_relevant": 1,
        "dropped_judgements_of_unknown_pages": 2,
        "dropped_queries_without_relevant_page": 1,
        "dropped_queries_without_text": 1,
    }


@pytest.mark.parametrize(
    ("qrels", "said"),
    [
        (
            "q1 0 4983 1\nq1 0 gone 1\n",
            r"line 2: 'gone' is not among the pages that can be found; `drag data qrels --drop-unknown`",
        ),
        (
            "q1 0 gone 1\nq1 0 broken 1\n",
            "'gone' is not among .* found, nor are the documents of 1 other judgements",
        ),
        (
            "q1 0 manual 1\n",
            "line 1: document 'manual' has 2 pages that can be found; judge one, such as 'manual#1'",
        ),
        ("q1 0 4983 1001\n", "line 1: grade 1001 is more than 1000"),
        ("q1 0 4983 0.5\n", "line 1: grade '0.5' is not a whole number"),
        ("q1\t4983\t1\nquery-id\tcorpus-id\tscore\n", "line 2: grade 'score' is not a whole number"),
        ("q1 0 4983 1\nq1 0 4983#1 2\n", "line 2: '4983#1' is judged 2 for query 'q1', but 1 before"),
        ("q1 4983\n", "line 1: has 2 fields, not the 4 of TREC"),
        ("\t\t1\n", "line 1: names no query or no document"),
        (
            "q1 0 manual#1 0\n",
            "no question is left .*judgements_not_relevant: 1, queries_without_relevant_page: 1",
        ),
        ("", "no question is left for .* .none was found"),
    ],
)
def test_wrong_judgements_are_named(tmp_path: Path, pages: Path, beir: Path, qrels: str, said: str) -> None:
    (tmp_path / "qrels").write_text(qrels)
    with pytest.raises(InputError, match=said):
        import_judged(
            [beir / "queries.jsonl"],
            [("test", tmp_path / "qrels")],
            pages,
            tmp_path / "out",
            data_source="x",
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.jsonl", '{"text": "How?"}\n', "line 1: is not a query of BEIR"),
        ("q.jsonl", '{"_id": "q1", "text": " "}\n', "line 1: has no text"),
        ("q.tsv", "q1 How?\n", "line 1: is not an id, a tab and a text"),
        ("q.tsv", "q1\tHow?\nq1\tWhy?\n", "line 2: query 'q1' is there twice, with another text"),
        ("q.tsv", "\n", "has no query"),
        ("topics", "<topics><topic number='1'/></topics>", "begins with a tag, but has no topic of TREC"),
        ("topics", "<top><num>7<desc>x</top>", "topic 1: has no text"),
    ],
)
def test_wrong_queries_are_named(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        read_topics(tmp_path / name)


def test_files_that_are_not_there_and_options_that_do_not_go_together(
    tmp_path: Path, pages: Path, beir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--pages", pages, "--out", tmp_path / "out"]
    for options, said in [
        ([], "give either --source, or --queries and --qrels"),
        (["--source", beir, "--qrels", "x"], "give either --source, or --queries and --qrels"),
        (["--queries", "x"], "give either --source, or --queries and --qrels"),
        (["--source", tmp_path], "is not a folder of BEIR with queries.jsonl"),
        (["--queries", tmp_path / "none.tsv", "--qrels", "x"], "none.tsv: no such file"),
        (["--queries", beir / "queries.jsonl", "--qrels", "none"], "none: no such file"),
        (
            ["--queries", beir / "queries.jsonl", "--qrels", "a", "--qrels", "test=a"],
            "a second file for test",
        ),
    ]:
        assert run(*options, *where) == 2
        assert said in capsys.readouterr().err


def test_a_page_is_found_by_its_id_first() -> None:
    both = [page_of("a", 1, "x"), page_of("a#1", 1, "x")]
    found = JudgedPages(both, {})
    assert [found.find(name) for name in ("a", "a#1", "a#1#1", "b")] == ["a#1", "a#1", "a#1#1", None]
    assert JudgedPages(both, {"a#1": "index"}).find("a") is None
