"""Rows that are wrong, of each kind and data set: each is a line that names its file and row, and the rest goes on."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
import vidore_lab
from convert_lab import Converted, converted

from data_preprocess import text_lines


class Kind(NamedTuple):
    """A row that is wrong."""

    dataset: str
    file: str
    row: Any
    """A line, or the cells of a row that are other than in a good one."""
    said: str
    """What the line about it says."""


def deep(levels: int) -> bytes:
    return b'{"_id": "d", "text": ' + b"[" * levels + b"]" * levels + b"}"


CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels/test.tsv"
RCC, SLIDES, LABELS = "val_v1.0.json", "data/test-00000-of-00001.parquet", "train.parquet"
KINDS = [
    Kind("beir", CORPUS, b'{"_id": "x", "text": "cut', "is not a JSON object"),
    Kind("beir", CORPUS, b'["x", "y"]', "is not a JSON object"),
    Kind("beir", CORPUS, b'{"_id": "x", "text": "\xff"}', "is not UTF-8 text"),
    Kind("beir", CORPUS, b'{"_id": "x", "text": NaN}', "NaN is not a number"),
    Kind("beir", CORPUS, b'{"_id": "x", "_id": "y", "text": "z"}', "'_id' is duplicated"),
    Kind("beir", CORPUS, b'{"_id": "x", "text": "\\ud800"}', "a lone surrogate"),
    Kind("beir", CORPUS, deep(100_000), "is nested too deeply"),
    Kind("beir", CORPUS, b'{"_id": %s, "text": "x"}' % (b"9" * 5000), "is not a JSON object"),
    Kind("beir", CORPUS, b'{"_id": "x", "text": "%s"}' % (b"y" * 300_000), "has more than 0 MiB"),
    Kind("beir", CORPUS, b'{"text": "x"}', "has no id"),
    Kind("beir", CORPUS, b'{"_id": true, "text": "x"}', "has no id"),
    Kind("beir", CORPUS, b'{"_id": "x", "title": "y"}', "document 'x' has no text"),
    Kind("beir", CORPUS, b'{"_id": "d1", "text": "again"}', "page 'd1#1' is there twice"),
    Kind("beir", QUERIES, b'{"_id": "q7", "text": " "}', "has no text"),
    Kind("beir", QUERIES, b'{"text": "How?"}', "is not a query of BEIR"),
    Kind("beir", QUERIES, b'{"_id": "q1", "text": "Other?"}', "'q1' is there twice, with another text"),
    Kind("beir", QRELS, b"q1 d1", "has 2 fields"),
    Kind("beir", QRELS, b"q1\td1\t0.5", "grade '0.5' is not a whole number"),
    Kind("beir", QRELS, b"q1\td1\t5000", "grade 5000 is more than 1000"),
    Kind("beir", QRELS, b"q1\tgone\t1", "there is no document 'gone'"),
    Kind("beir", QRELS, b"q9\td1\t1", "there is no query 'q9'"),
    Kind("beir", QRELS, b"\td1\t1", "names no query or no document"),
    Kind("beir", QRELS, b"q1\td1\t3", "judged 3 for query 'q1', but 2 before; the last counts"),
    Kind("msmarco", "collection.tsv", b"7 no tab", "is not an id, a tab and a text"),
    Kind("msmarco", "collection.tsv", b"\tno id", "has no id"),
    Kind("msmarco", LABELS, {"uid": ""}, "has no uid"),
    Kind("msmarco", LABELS, {"prompt": ""}, "has no prompt"),
    Kind("msmarco", LABELS, {"uid": "u1"}, "uid 'u1' is there twice"),
    Kind("msmarco", LABELS, {"uid": "unlabelled"}, "uid 'unlabelled' has no label in labels.pkl"),
    Kind("msmarco", LABELS, {"uid": "lost"}, "a label of 'lost' is no passage of the collection"),
    Kind("msmarco", LABELS, {"uid": "half"}, "grade '0.5' of 'd1' is no whole number"),
    Kind("trec", "docs", b"<DOC>\n<TEXT>x</TEXT>\n</DOC>", "has no <DOCNO>"),
    Kind("trec", "docs", b"<DOC>\n<DOCNO>cut</DOCNO>", "is a document without </DOC>"),
    Kind("trec", "topics.tsv", b"q7 no tab", "is not an id, a tab and a text"),
    Kind("trec", "qrels", b"q1 0 d1 high", "grade 'high' is not a whole number"),
    Kind("flashrag", "nq/test.jsonl", b'{"id": "7", "golden_answers": ["x"]}', "has no question"),
    Kind("flashrag", "nq/test.jsonl", b'{"id": "7", "question": "How?"}', "questions without answer"),
    Kind(
        "flashrag",
        "nq/test.jsonl",
        b'{"id": "q1", "question": "How?", "golden_answers": ["x"]}',
        "question id 'nq-q1' is there twice",
    ),
    Kind("docvqa", RCC, {"question": " "}, "questions without text"),
    Kind("docvqa", RCC, {"questionId": 1}, "question id '1' is there twice"),
    Kind("docvqa", RCC, {"docId": None, "ucsf_document_id": None}, "questions without gold page"),
    Kind("docvqa", RCC, {"ucsf_document_page_no": "2", "image": "lost.png"}, "names the image 'lost.png'"),
    Kind("docvqa", RCC, None, "questions without text"),
    Kind("slidevqa", SLIDES, {"evidence_pages": [21]}, "questions without gold page"),
    Kind("slidevqa", SLIDES, {"deck_name": None}, "questions without gold page"),
    Kind("slidevqa", SLIDES, {"deck_name": "b", "page_1": {"bytes": None, "path": "x.jpg"}}, "has the path"),
    Kind(
        "slidevqa", SLIDES, {"deck_name": "c", "page_1": {"bytes": b"", "path": None}}, "has an empty image"
    ),
    Kind("mmdocir", "MMDocIR_annotations.jsonl", b'{"doc_name": "a.pdf"', "is not a JSON object"),
    Kind("mmdocir", "MMDocIR_annotations.jsonl", b'{"doc_name": "a.pdf"}', "has no doc_name with questions"),
    Kind(
        "mmdocir",
        "MMDocIR_annotations.jsonl",
        b'{"doc_name": "a.pdf", "questions": [{"Q": "How?", "page_id": [7]}]}',
        "without gold page",
    ),
]
"""Kinds of one file stand in its order, after the rows that are right."""


def appended(folder: Path, name: str, good: str, kinds: list[Kind]) -> None:
    """A file of lines: good ones, then a bad one of each kind."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    bad = [kind.row for kind in kinds if kind.file == name]
    path.write_bytes(b"\n".join([good.encode(), *bad]) + b"\n")


def beir(folder: Path, kinds: list[Kind]) -> None:
    appended(
        folder,
        CORPUS,
        '{"_id": "d1", "title": "Rotor", "text": "It turns."}\n{"_id": "d2", "text": "x"}',
        kinds,
    )
    appended(
        folder, QUERIES, '{"_id": "q1", "text": "What turns?"}\n{"_id": "q2", "text": "What else?"}', kinds
    )
    appended(folder, QRELS, "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1", kinds)


def msmarco(folder: Path, kinds: list[Kind]) -> None:
    appended(folder, "collection.tsv", "d1\tIt turns.\nd2\tx", kinds)
    rows = [{"uid": f"u{n}", "prompt": f"What {n}?"} for n in (1, 2)]
    rows += [
        {"uid": f"bad{n}", "prompt": "How?"} | kind.row for n, kind in enumerate(kinds) if kind.file == LABELS
    ]
    names = {name: (pa.string(), [row[name] for row in rows]) for name in ("uid", "prompt")}
    vidore_lab.write(folder / LABELS, names)
    labels = {"u1": ["d1"], "u2": ["d2"], "lost": ["gone"], "half": {"d1": 0.5}}
    (folder / "labels.pkl").write_bytes(pickle.dumps(labels))


def trec(folder: Path, kinds: list[Kind]) -> None:
    appended(folder, "docs", "<DOC><DOCNO>d1</DOCNO>It turns.</DOC>\n<DOC><DOCNO>d2</DOCNO>x</DOC>", kinds)
    appended(folder, "topics.tsv", "q1\tWhat turns?\nq2\tWhat else?", kinds)
    appended(folder, "qrels", "q1 0 d1 2\nq2 0 d2 1", kinds)


def flashrag(folder: Path, kinds: list[Kind]) -> None:
    appended(
        folder, "wiki.jsonl", '{"id": "d1", "contents": "\\"Rotor\\"\\nThe rotor turns in 1969."}', kinds
    )
    question = '{"id": "q1", "question": "when does the rotor turn", "golden_answers": ["1969"]}'
    appended(
        folder, "nq/test.jsonl", question + "\n" + question.replace("q1", "q2").replace("does", "did"), kinds
    )


def docvqa(folder: Path, kinds: list[Kind]) -> None:
    folder.mkdir(parents=True)
    (folder / "ab_1.png").write_bytes(vidore_lab.picture("one"))
    good = {"docId": 1, "ucsf_document_id": "ab", "ucsf_document_page_no": "1", "image": "ab_1.png"}
    rows: list[Any] = [good | {"questionId": n, "question": f"What {n}?", "answers": ["x"]} for n in (1, 2)]
    for number, kind in enumerate(kinds, start=10):
        own = good | {"questionId": number, "question": "How?", "answers": []}
        rows.append(None if kind.row is None else own | kind.row)
    (folder / RCC).write_text(json.dumps({"data": rows}))


def slidevqa(folder: Path, kinds: list[Kind]) -> None:
    good = {"deck_name": "a", "evidence_pages": [1], "page_1": vidore_lab.cell("1"), "answer": "x"}
    rows: list[dict[str, Any]] = [good | {"qa_id": n, "question": f"What {n}?"} for n in (1, 2)]
    rows += [good | {"qa_id": n, "question": "How?"} | kind.row for n, kind in enumerate(kinds, start=10)]
    kind_of = {"qa_id": pa.int64(), "evidence_pages": pa.list_(pa.int64()), "page_1": vidore_lab.IMAGE}
    columns = {name: (kind_of.get(name, pa.string()), [row[name] for row in rows]) for name in rows[0]}
    empty = (vidore_lab.IMAGE, [None] * len(rows))
    vidore_lab.write(folder / SLIDES, columns | {f"page_{n}": empty for n in range(2, 21)})


def mmdocir(folder: Path, kinds: list[Kind]) -> None:
    vidore_lab.write(
        folder / "MMDocIR_pages.parquet",
        {
            "doc_name": (pa.string(), ["a.pdf"]),
            "image_binary": (pa.binary(), [vidore_lab.picture("1", "JPEG")]),
            "ocr_text": (pa.string(), ["It turns."]),
        },
    )
    asked = [{"Q": f"What {n}?", "A": "x", "page_id": [0]} for n in (1, 2)]
    good = json.dumps({"doc_name": "a.pdf", "page_indices": [0, 0], "questions": asked})
    appended(folder, "MMDocIR_annotations.jsonl", good, kinds)


FIXTURES: dict[str, Callable[[Path, list[Kind]], None]] = {
    made.__name__: made for made in (beir, msmarco, trec, flashrag, docvqa, slidevqa, mmdocir)
}


class Case(NamedTuple):
    """A data set's conversion, and its lines."""

    dataset: str
    source: Path
    found: Converted

    @property
    def lines(self) -> list[tuple[str, str]]:
        """File and row, and what is said of it."""
        return [
            (problem.where.removeprefix(f"{self.source}/"), problem.reason)
            for problem in self.found.manifest.problems
        ]


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """One conversion of each data set, with all the kinds of bad rows that it has."""

    @cache
    def convert(dataset: str) -> Case:
        folder = tmp_path_factory.mktemp(dataset)
        source = folder / "source"
        FIXTURES[dataset](source, [kind for kind in KINDS if kind.dataset == dataset])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_lines, "MAX_LINE_BYTES", 1 << 18)
            return Case(dataset, source, converted(dataset, source, folder / "out"))

    return convert


def row_of(kind: Kind) -> int:
    """The line or row where a kind stands."""
    before = [one for one in KINDS if (one.dataset, one.file) == (kind.dataset, kind.file)]
    before = before[: before.index(kind)]
    good = {QRELS: 3, "MMDocIR_annotations.jsonl": 1}.get(kind.file, 2)
    return good + 1 + sum(one.row.count(b"\n") + 1 if isinstance(one.row, bytes) else 1 for one in before)


def test_there_are_enough_kinds() -> None:
    assert len({(kind.dataset, kind.said) for kind in KINDS}) >= 40


@pytest.mark.parametrize("kind", KINDS, ids=[f"{kind.dataset}-{n}" for n, kind in enumerate(KINDS)])
def test_a_row_of_each_kind_is_named(case_of: Callable[[str], Case], kind: Kind) -> None:
    word, lines = ("line" if isinstance(kind.row, bytes) else "row"), case_of(kind.dataset).lines
    where = f"{kind.file} {word} {row_of(kind)}"
    said = [reason for place, reason in lines if place == where or place.startswith(f"{where} question")]
    assert any(kind.said in reason for reason in said), lines
    assert not any("\n" in reason for reason in said)


@pytest.mark.parametrize("dataset", list(FIXTURES))
def test_the_rest_goes_on_and_nothing_else_is_said(case_of: Callable[[str], Case], dataset: str) -> None:
    case = case_of(dataset)
    assert len([text for text in case.found.questions if text != "How?"]) == 2
    assert len(case.lines) == sum(kind.dataset == dataset for kind in KINDS), case.lines
