"""Collections of texts become pages and questions, and agree with an independent reading of the same files."""

from __future__ import annotations

import gzip
import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ir_measures
import pandas as pd
import pytest

from data_preprocess.convert import app, convert_dataset
from drag_rl.console import run_app
from drag_rl.corpus.pages import load_pages
from drag_rl.errors import InputError
from drag_rl.files.manifest import Manifest, read_manifest
from drag_rl.questions import read_questions
from drag_rl.splits import SPLITS
from drag_rl.types import Question

PASSAGES = {
    "0": "The presence of communication amid scientific minds",
    "10": "The Manhattan Project and its atomic bomb",
    "9": "Paris is the capital of France",
}


def convert(name: str, source: Path, out: Path, **options: object) -> tuple[Manifest, dict[str, str]]:
    """The manifest, and the text of each page."""
    manifest = convert_dataset(name, source, out / "pages", out, reader_options=options)
    return manifest, {page.page_id: page.text for page in load_pages(out / "pages")}


def questions(out: Path) -> dict[str, dict[str, Question]]:
    """Split -> id -> question."""
    files = {split: out / f"questions.{split}.parquet" for split in SPLITS}
    return {
        split: {one.question_id: one for one in read_questions(file)}
        for split, file in files.items()
        if file.exists()
    }


def gold(asked: Mapping[str, Question]) -> dict[str, dict[str, int]]:
    """Id of a question -> document -> grade."""
    return {
        name: {
            page_id.removesuffix("#1"): grade
            for page_id, grade in zip(one.gold_page_ids, one.grades, strict=True)
        }
        for name, one in asked.items()
    }


def dropped(manifest: Manifest) -> dict[str, int]:
    return {
        name.removeprefix("dropped_"): count
        for name, count in manifest.counts.items()
        if name.startswith("dropped_")
    }


def lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def msmarco(tmp_path: Path) -> Path:
    folder = tmp_path / "msmarco"
    folder.mkdir()
    (folder / "collection.tsv").write_text("".join(f"{pid}\t{text}\n" for pid, text in PASSAGES.items()))
    return folder


def test_msmarco_keeps_its_splits_and_the_small_one(msmarco: Path, tmp_path: Path) -> None:
    (msmarco / "queries.train.tsv").write_text("121352\tdefine extreme\n510633\tcapital of france\n")
    (msmarco / "queries.dev.small.tsv").write_text("2\tatomic bomb project\n")
    (msmarco / "queries.dev.tsv").write_text("2\tatomic bomb project\n3\twho\n")
    (msmarco / "qrels.train.tsv").write_text("121352\t0\t0\t1\n510633\t0\t9\t1\n")
    (msmarco / "qrels.dev.small.tsv").write_text("2\t0\t10\t1\n")
    (msmarco / "qrels.dev.tsv").write_text("2\t0\t10\t1\n3\t0\t0\t1\n")
    with gzip.open(msmarco / "2019qrels-pass.txt.gz", "wt") as file:  # of TREC's Deep Learning track, graded
        file.write("510633 Q0 0 0\n3 Q0 9 3\n3 Q0 0 1\n")
    (msmarco / "msmarco-test2019-queries.tsv").write_text("3\twho\n")
    manifest, pages = convert("msmarco", msmarco, tmp_path / "out")
    assert pages == {f"{pid}#1": text for pid, text in PASSAGES.items()}
    asked = questions(tmp_path / "out")
    for split, name in {"train": "qrels.train.tsv", "val": "qrels.dev.small.tsv"}.items():
        theirs = ir_measures.read_trec_qrels(str(msmarco / name))
        assert gold(asked[split]) == {one.query_id: {one.doc_id: one.relevance} for one in theirs}
    assert gold(asked["test"]) == {"3": {"9": 3, "0": 1}}
    assert asked["test"]["3"].gold_page_ids == ("9#1", "0#1"), "the best comes first"
    assert manifest.config["files_left_out"] == ["qrels.dev.tsv", "queries.dev.tsv"]
    assert dropped(manifest) == {"judgements_not_relevant": 1, "queries_without_relevant_page": 1}
    assert not manifest.problems


@pytest.mark.parametrize("chat", [False, True])
def test_prompts_with_pickled_labels_are_read_without_running_them(
    msmarco: Path, tmp_path: Path, chat: bool
) -> None:
    texts = {"msmarco_1": "what is the capital of france", "msmarco_2": "bombs", "msmarco_3": "lost"}
    system = {"role": "system", "content": "Rewrite the query."}
    prompts = [[system, {"role": "user", "content": text}] if chat else text for text in texts.values()]
    pd.DataFrame({"uid": list(texts), "prompt": prompts}).to_parquet(msmarco / "train_queries.parquet")
    pd.DataFrame({"uid": ["msmarco_1", "msmarco_4"], "prompt": prompts[:2]}).to_parquet(
        msmarco / "val.parquet"
    )
    labels = {"msmarco_1": [9], "msmarco_2": {"10": 2, "0": 1}, "msmarco_3": 404, "msmarco_4": "0"}
    (msmarco / "labels.pkl").write_bytes(pickle.dumps(labels))
    (msmarco / "id_mapping.pkl").write_bytes(pickle.dumps([0, 10, 9]))
    manifest, _ = convert("msmarco", msmarco, tmp_path / "out")
    asked = questions(tmp_path / "out")
    assert gold(asked["train"]) == {"msmarco_1": {"9": 1}, "msmarco_2": {"10": 2, "0": 1}}
    assert gold(asked["val"]) == {"msmarco_4": {"0": 1}}
    assert asked["train"]["msmarco_1"].text == texts["msmarco_1"]
    assert dropped(manifest) == {
        "labels_of_unknown_passages": 1,
        "queries_asked_again": 1,
        "queries_without_relevant_page": 1,
    }
    assert [problem.where for problem in manifest.problems] == [
        f"{msmarco}/val.parquet row 1",
        f"{msmarco}/train_queries.parquet row 3",
    ]


def test_a_hostile_pickle_is_refused(msmarco: Path, tmp_path: Path) -> None:
    pd.DataFrame({"uid": ["a"], "prompt": ["x"]}).to_parquet(msmarco / "train.parquet")
    (msmarco / "labels.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match=r"labels\.pkl: holds os\.system, which is no plain data"):
        convert("msmarco", msmarco, tmp_path / "out")


SGML = """
<DOC>
<DOCNO> FT911-3 </DOCNO>
<HEADLINE>Rotor &amp; blade</HEADLINE>
<TEXT>
The rotor <b>turns</b>.
</TEXT>
</DOC>
<DOC><DOCNO>FT911-4</DOCNO><TEXT>Caf\u00e9</TEXT></DOC>
<DOC>
<TEXT>nameless</TEXT>
</DOC>
<DOC>
<DOCNO>FT911-9</DOCNO>
"""


def test_a_trec_collection_brings_its_documents(tmp_path: Path) -> None:
    source = tmp_path / "trec8"
    (source / "docs").mkdir(parents=True)
    (source / "docs/ft911").write_text(SGML, encoding="latin-1")
    with gzip.open(source / "docs/more.jsonl.gz", "wt") as file:
        file.write('{"id": "A-1", "contents": "\\"Pumps\\"\\nA pump leaks."}\n')
    (source / "topics.401-450").write_text(
        "<top>\n<num> Number: 401\n<title> rotor blades\n<desc> Description:\nWhich?\n</top>\n"
        "<top>\n<num> Number: 402\n<title> pumps\n</top>\n"
    )
    judged = "401 0 FT911-3 2\n401 0 FT911-4 -1\n402 0 A-1 1\n402 0 FT911-9 1\n"
    (source / "qrels.trec8.txt").write_text(judged)
    manifest, pages = convert("trec", source, tmp_path / "out")
    assert pages == {
        "FT911-3#1": "Rotor & blade\nThe rotor turns.",
        "FT911-4#1": "Caf\u00e9",
        "A-1#1": "Pumps\n\nA pump leaks.",
    }
    asked = questions(tmp_path / "out")["test"]
    theirs: dict[str, dict[str, int]] = {}
    for one in ir_measures.read_trec_qrels(str(source / "qrels.trec8.txt")):
        if one.relevance > 0 and f"{one.doc_id}#1" in pages:
            theirs.setdefault(one.query_id, {})[one.doc_id] = one.relevance
    assert gold(asked) == theirs
    assert asked["401"].text == "rotor blades"
    assert dropped(manifest) == {
        "documents_that_are_wrong": 2,
        "judgements_not_relevant": 1,
        "judgements_of_unknown_pages": 1,
    }
    wrong = [(problem.where.removeprefix(f"{source}/"), problem.reason) for problem in manifest.problems]
    assert wrong == [
        ("docs/ft911 line 10", "has no <DOCNO>"),
        ("docs/ft911 line 13", "is a document without </DOC>"),
        ("qrels.trec8.txt line 4", "there is no document 'FT911-9'"),
    ]


WIKI = [
    ("0", "Apollo 11", "Apollo 11 landed on the Moon in July 1969, says NASA."),
    ("1", "1969", "In 1969 the Beatles played on a roof."),
    ("2", "Saturn V", "The Saturn V carried Apollo 11."),
    ("3", "Saturn V", "It stood 363 feet tall and was built by Boeing."),
    ("4", "Beatles", "They said yes."),
]
NQ = [
    {
        "id": "train_0",
        "question": "when did apollo 11 land on the moon",
        "golden_answers": ["1969", "July 1969"],
    },
    {"id": "train_1", "question": "who wrote hamlet", "golden_answers": ["William Shakespeare"]},
    {"id": "train_2", "question": "did they agree", "golden_answers": ["yes"]},
    {"id": "train_3", "question": "who", "golden_answers": []},
]
HOTPOT = {
    "id": "train_0",  # as in every data set
    "question": "How tall was the rocket that carried Apollo 11?",
    "golden_answers": ["363 feet"],
    "metadata": {
        "type": "bridge",
        "supporting_facts": {"title": ["Apollo 11", "Saturn V"], "sent_id": [0, 1]},
        "context": {
            "title": ["Apollo 11", "Saturn V"],
            "sentences": [
                ["Apollo 11 landed on the Moon."],
                ["A rocket.", "It was 363 feet tall and built by Boeing."],
            ],
        },
    },
}
CONTENTS = [{"id": name, "contents": f'"{title}"\n{text}'} for name, title, text in WIKI]


def test_flashrag_finds_gold_by_answers_and_by_supporting_facts(tmp_path: Path) -> None:
    source = tmp_path / "flashrag"
    lines(source / "wiki-18.jsonl", CONTENTS)
    lines(source / "nq/train.jsonl", NQ)
    lines(source / "hotpotqa/dev.jsonl", [HOTPOT, HOTPOT])
    manifest, pages = convert("flashrag", source, tmp_path / "out")
    assert pages["3#1"] == "Saturn V\n\nIt stood 363 feet tall and was built by Boeing."
    asked = questions(tmp_path / "out")
    assert gold(asked["train"]) == {"nq-train_0": {"0": 1}}, "1969 stands on page 1 by chance"
    assert asked["train"]["nq-train_0"].answers == ("1969", "July 1969")
    assert asked["train"]["nq-train_0"].data_source == "nq"
    assert gold(asked["val"]) == {"hotpotqa-train_0": {"0": 1, "3": 1}}
    assert dropped(manifest) == {
        "questions_asked_again": 1,
        "questions_without_answer": 1,
        "questions_without_gold_page": 2,
    }
    assert manifest.config["gold"]["max_gold"] == 20
    for question in asked["train"].values():  # an independent reading: the answer's words stand on the page
        for page_id in question.gold_page_ids:
            assert any(
                re.search(rf"\b{re.escape(answer)}\b", pages[page_id], re.I) for answer in question.answers
            )


def test_facts_alone_can_be_gold(tmp_path: Path) -> None:
    source = tmp_path / "flashrag"
    lines(source / "wiki-18.jsonl", CONTENTS)
    lines(source / "nq/train.jsonl", NQ)
    pairs = {
        "supporting_facts": [["Saturn V", 0], ["Lost", 0]],
        "context": [],
    }  # as HotpotQA's authors write them
    lines(source / "hotpotqa/train.jsonl", [HOTPOT | {"metadata": pairs}])
    manifest, _ = convert("flashrag", source, tmp_path / "out", gold="facts")
    assert gold(questions(tmp_path / "out")["train"]) == {"hotpotqa-train_0": {"2": 1}}
    assert dropped(manifest)["supporting_facts_not_found"] == 1
    with pytest.raises(InputError, match="--gold: the data set beir has no such option; leave it out"):
        convert("beir", source, tmp_path / "none", gold="facts")


def test_a_corpus_without_answers_becomes_pages_without_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wiki = lines(tmp_path / "wiki/wiki-18.jsonl", [*CONTENTS, {"id": "x"}, CONTENTS[0]])
    with pytest.raises(InputError, match=r"holds no questions"):
        convert("flashrag", wiki.parent, tmp_path / "out")
    words = ["flashrag", "--source", wiki.parent, "--gold", "none", "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as stop:
        run_app(app, "drag data convert", [str(word) for word in words])
    assert stop.value.code == 0
    assert f"{len(CONTENTS)} pages in" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pages"]
    assert len(load_pages(tmp_path / "out/pages")) == len(CONTENTS)
    problems = read_manifest(tmp_path / "out/pages").problems
    assert [problem.reason.split(";")[0] for problem in problems] == [
        "document 'x' has no text",
        "page '0#1' is there twice",
    ]


def search_r1_row(row: dict[str, Any], index: int, *, question_column: bool) -> dict[str, Any]:
    """A row as Search-R1's script writes it: the question inside the template, with a question mark."""
    question = row["question"].strip().removesuffix("?") + "?"
    told = "Answer the given question. For example, <answer> Beijing </answer>."
    content = f"{told} Question: {question}\n"
    made = {
        "id": row["id"],
        "data_source": "nq",
        "prompt": [{"role": "user", "content": content}],
        "ability": "fact-reasoning",
        "reward_model": {"style": "rule", "ground_truth": {"target": row["golden_answers"]}},
        "extra_info": {"split": "train", "index": index},
    }
    return made | ({"question": question, "golden_answers": row["golden_answers"]} if question_column else {})


@pytest.mark.parametrize("question_column", [True, False])
def test_search_r1_says_the_same_as_flashrag(tmp_path: Path, question_column: bool) -> None:
    source = tmp_path / "search-r1"
    lines(source / "corpus/wiki-18.jsonl", CONTENTS)
    rows = [search_r1_row(row, index, question_column=question_column) for index, row in enumerate(NQ)]
    pd.DataFrame(rows).to_parquet(source / "train.parquet")
    manifest, _ = convert("search-r1", source, tmp_path / "out")
    asked = questions(tmp_path / "out")["train"]
    assert gold(asked) == {"nq-train_0": {"0": 1}}
    assert asked["nq-train_0"].text == "when did apollo 11 land on the moon?"
    theirs = pd.read_parquet(source / "train.parquet").iloc[0]
    assert list(theirs["reward_model"]["ground_truth"]["target"]) == list(asked["nq-train_0"].answers)
    assert dropped(manifest) == {"questions_without_answer": 1, "questions_without_gold_page": 2}


@pytest.mark.parametrize("name", ["beir", "flashrag", "msmarco", "search-r1", "trec"])
def test_a_folder_of_something_else_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "source").mkdir()
    for source in (tmp_path / "source", tmp_path / "none"):
        with pytest.raises(InputError, match=r"--source .*(is no|has|holds)"):
            convert_dataset(name, source, tmp_path / "pages", tmp_path / "out")
