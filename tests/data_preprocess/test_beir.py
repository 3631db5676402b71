"""A collection of BEIR becomes pages and questions, which are searched and measured like any others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from data_preprocess.beir import read_beir
from data_preprocess.convert import convert_dataset
from drag_rl.corpus.pages import load_pages
from drag_rl.errors import InputError
from drag_rl.questions import read_questions

DOCUMENTS = [
    {"_id": "MED-10", "title": "Statins", "text": "Statin use and breast cancer.", "metadata": {}},
    {"_id": "4983", "title": "", "text": "Microstructural development."},
    {"_id": "MED-2", "title": "Untold", "text": ""},
    {"_id": "empty", "title": "", "text": ""},
]


def collection(folder: Path, documents: list[object]) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in documents))
    (folder / "queries.jsonl").write_text('{"_id": "PLAIN-1", "text": "Do statins cause cancer?"}\n')
    (folder / "qrels/dev.tsv").write_text(
        "query-id\tcorpus-id\tscore\nPLAIN-1\tMED-2\t1\nPLAIN-1\tMED-10\t2\nPLAIN-1\tempty\t0\n"
    )
    return folder


def test_a_document_is_a_page_and_the_grades_are_kept(tmp_path: Path) -> None:
    source = collection(tmp_path / "nfcorpus", DOCUMENTS)
    manifest = convert_dataset("beir", source, tmp_path / "pages", tmp_path / "out")
    assert manifest.counts["dropped_judgements_not_relevant"] == 1
    pages = load_pages(tmp_path / "pages")
    assert [page.page_id for page in pages] == ["4983#1", "MED-10#1", "MED-2#1", "empty#1"]
    assert [page.text for page in pages][1:] == ["Statins\n\nStatin use and breast cancer.", "Untold", ""]
    (question,) = read_questions(tmp_path / "out/questions.val.parquet")
    assert dict(zip(question.gold_page_ids, question.grades, strict=True)) == {"MED-10#1": 2, "MED-2#1": 1}
    assert question.data_source == "nfcorpus"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"_id": True, "text": "x"}, "has no id"),
        ({"_id": "7"}, "document '7' has no text"),
        ({"_id": "4983", "text": "again"}, "page '4983#1' is there twice; the one of .* line 2 is kept"),
    ],
)
def test_a_wrong_document_is_named_and_the_rest_goes_on(tmp_path: Path, document: object, said: str) -> None:
    source = collection(tmp_path / "nfcorpus", [*DOCUMENTS, document])
    (problem,) = convert_dataset("beir", source, tmp_path / "pages", tmp_path / "out").problems
    assert problem.where == f"{source / 'corpus.jsonl'} line 5"
    assert re.search(said, problem.reason)
    pages = load_pages(tmp_path / "pages")
    assert [page.text for page in pages] == [
        "Microstructural development.",
        "Statins\n\nStatin use and breast cancer.",
        "Untold",
        "",
    ]


def test_a_folder_without_documents_is_named(tmp_path: Path) -> None:
    source = collection(tmp_path / "nfcorpus", [])
    (source / "corpus.jsonl").unlink()
    with pytest.raises(InputError, match=r"corpus\.jsonl: no such file"):
        read_beir(source)
