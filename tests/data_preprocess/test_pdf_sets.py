"""Data sets of PDFs: their fixtures, as they lie on disk, become what an independent reading says."""

from __future__ import annotations

import ast
import json
import zipfile
from pathlib import Path

import pymupdf
import pytest
import vidore_lab
from convert_lab import converted

from data_preprocess.selection import Selection, read_documents
from drag_rl.corpus.images import PageImages
from drag_rl.errors import InputError

REPORT = ["The rotor turns at noon.", "The pump leaks oil.", "The valve is green."]
LEAFLET = ["Only a leaflet about brakes."]


def mmlongbench(folder: Path, make_pdf, rows: list[tuple[str, str, str, str]]) -> Path:
    """``data/samples.json``, whose values are all texts, and ``data/documents``."""
    (folder / "data/documents").mkdir(parents=True)
    (folder / "data/documents/a report.pdf").write_bytes(make_pdf(REPORT))
    (folder / "data/documents/leaflet.pdf").write_bytes(make_pdf(LEAFLET))
    samples = [
        {
            "doc_id": doc_id,
            "doc_type": "Research report / Introduction",
            "question": question,
            "answer": answer,
            "evidence_pages": pages,
            "evidence_sources": "['Chart']",
            "answer_format": "Str",
        }
        for doc_id, question, answer, pages in rows
    ]
    (folder / "data/samples.json").write_text(json.dumps(samples))
    return folder


ROWS = [
    ("a report.pdf", "What leaks?", "the pump", "[2]"),
    ("a report.pdf", "According to the report, what turns and leaks?", "['rotor', 'pump']", "[1, 2]"),
    ("a report.pdf", "How often is the gearbox changed?", "Not answerable", "[]"),
    ("a report.pdf", "Who wrote it?", "Not answerable", "[3]"),
    ("a report.pdf", "How many colours are there?", "1", "[]"),
    ("a report.pdf", "What is on the cover?", "noon", "[0]"),
    ("a report.pdf", "What is green, and what is in the annex?", "the valve", "[3, 1418]"),
    ("a report.pdf", "What  leaks?", "the pump", "[2]"),
    ("leaflet.pdf", "What leaks?", "nothing", "[1]"),
    ("lost.pdf", "Where is it?", "gone", "[1]"),
    ("lost.pdf", "Since when?", "yesterday", "[2]"),
]


def test_mmlongbench_doc_agrees_with_an_independent_reading(tmp_path, make_pdf) -> None:
    source = mmlongbench(tmp_path / "source", make_pdf, ROWS)
    found = converted("mmlongbench-doc", source, tmp_path / "out")

    expected: dict[tuple[str, str], set[int]] = {}
    for row in json.loads((source / "data/samples.json").read_text()):
        path = source / "data/documents" / row["doc_id"]
        if path.exists() and row["answer"] != "Not answerable":
            with pymupdf.open(path) as pdf:
                pages = {n for n in ast.literal_eval(row["evidence_pages"]) if 1 <= n <= pdf.page_count}
            if pages:
                expected[row["doc_id"], " ".join(row["question"].split())] = pages
    assert len(expected) == found.manifest.counts["questions_test"] == 4

    assert [page.text for page in found.pages.values()] == REPORT + LEAFLET
    assert found.gold["According to the report, what turns and leaks?"] == ("a report#1", "a report#2")
    question = found.questions["According to the report, what turns and leaks?"]
    assert (question.answers, question.document) == (("rotor, pump",), "a report")
    assert found.gold["What is green, and what is in the annex?"] == ("a report#3",)
    assert found.dropped == {
        "gold_pages_that_are_missing": 2,
        "questions_asked_again": 1,
        "questions_without_an_answer": 2,
        "questions_without_document": 2,
        "questions_without_gold_page": 2,
    }
    lines = {problem.where: problem.reason for problem in found.manifest.problems}
    assert lines["data/samples.json row 7"] == "names page 1418 of 'a report', which has 3 pages"
    assert lines["data/samples.json row 10"].startswith("there is no document 'lost'")
    assert "data/samples.json row 11" not in lines  # a document that is not there is listed once
    assert found.manifest.config["licence"] == "CC BY-NC 4.0, for research"


WRONG: list[object] = [
    None,
    7,
    [],
    {},
    {"doc_id": None, "question": None, "answer": None, "evidence_pages": None},
    {"doc_id": ["a report.pdf"], "question": {"a": 1}, "answer": {}, "evidence_pages": {"a": 2}},
    {"doc_id": "a report.pdf", "question": "", "answer": "x", "evidence_pages": "[1]"},
    {"doc_id": "a report.pdf", "question": "\ud800", "answer": "x", "evidence_pages": "[1]"},
    {"doc_id": "\ud800.pdf", "question": "Which?", "answer": "x", "evidence_pages": "[1]"},
    {"doc_id": "a report.pdf", "question": "Open?", "answer": "x", "evidence_pages": "[1, 2"},
    {"doc_id": "a report.pdf", "question": "Words?", "answer": "x", "evidence_pages": "['one']"},
    {"doc_id": "a report.pdf", "question": "Code?", "answer": "x", "evidence_pages": "[__import__('os')]"},
    {"doc_id": "a report.pdf", "question": "Deep?", "answer": "x", "evidence_pages": "[" * 5000},
    {"doc_id": "a report.pdf", "question": "Large?", "answer": "x", "evidence_pages": f"[{'9' * 5000}]"},
    {"doc_id": "a report.pdf", "question": "Below?", "answer": "x", "evidence_pages": "[-1]"},
    {"doc_id": "a report.pdf", "question": "Infinite?", "answer": "x", "evidence_pages": [1e999]},
    {"doc_id": "../../a report.pdf", "question": "Half?", "answer": "x", "evidence_pages": [2.5]},
]


def test_a_row_that_is_wrong_is_a_line_and_the_rest_goes_on(tmp_path, make_pdf) -> None:
    source = mmlongbench(tmp_path / "source", make_pdf, [])
    good = {"doc_id": "leaflet.pdf", "question": "Brakes?", "answer": "\ud800yes", "evidence_pages": [1.0]}
    (source / "data/samples.json").write_text(json.dumps([*WRONG, good]))
    found = converted("mmlongbench-doc", source, tmp_path / "out")
    assert found.gold == {"Brakes?": ("leaflet#1",)}
    assert found.questions["Brakes?"].answers == ("yes",)
    dropped = found.dropped
    assert sum(count for name, count in dropped.items() if name.startswith("questions")) == len(WRONG)
    lines = {problem.where for problem in found.manifest.problems}
    once = dropped["questions_without_document"] - sum(
        "no document" in p.reason for p in found.manifest.problems
    )
    assert len(lines) == len(WRONG) - once


def test_only_the_documents_of_a_list_are_read(tmp_path, make_pdf) -> None:
    source = mmlongbench(tmp_path / "source", make_pdf, ROWS)
    wanted = tmp_path / "wanted.txt"
    wanted.write_text("leaflet.pdf\n\n")
    selection = Selection(documents=read_documents(wanted))
    found = converted("mmlongbench-doc", source, tmp_path / "out", selection)
    assert list(found.pages) == ["leaflet#1"]
    assert found.gold == {"What leaks?": ("leaflet#1",)}
    assert found.dropped == {"questions_of_other_documents": 8, "questions_without_document": 2}

    wanted.write_text("leaflet\nnone.pdf\n")
    with pytest.raises(InputError, match="--documents: 'none' is no document of the data set"):
        converted("mmlongbench-doc", source, tmp_path / "new", Selection(documents=read_documents(wanted)))


def test_pages_that_are_one_off_are_refused(tmp_path, make_pdf) -> None:
    """As if the numbers were printed ones, in a document whose cover is not counted."""
    words = [
        f"{name}{number}" for number in range(5) for name in ("rotor", "pump", "valve", "brake", "wheel")
    ]
    rows = [
        ("a report.pdf", f"What about the {word}?", "all", f"[{n}]") for n, word in enumerate(words[1:], 1)
    ]
    source = mmlongbench(tmp_path / "source", make_pdf, rows)
    (source / "data/documents/a report.pdf").write_bytes(
        make_pdf([f"All about the {word}" for word in words])
    )
    with pytest.raises(InputError, match=r"its page numbers are off by \+1: of 24 questions 0% fit"):
        converted("mmlongbench-doc", source, tmp_path / "out")


def tat_dqa(folder: Path, make_pdf) -> Path:
    """``tatdqa_dataset_*.json`` and the zips of PDFs and layouts."""

    def layout(*blocks: str) -> str:
        """A page for each of ``blocks``."""
        pages = [{"bbox": [0, 0, 612, 792], "blocks": [{"uuid": uuid, "order": 1}]} for uuid in blocks]
        return json.dumps({"pages": pages})

    def question(uid: str, answer: object, blocks: object, **more: object) -> dict[str, object]:
        told = {"scale": "", "answer_type": "span", "derivation": "", "facts": [], "req_comparison": False}
        return {
            "uid": uid,
            "order": 1,
            "question": f"Question {uid}?",
            "answer": answer,
            "block_mapping": blocks,
            **told,
            **more,
        }

    def entry(uid: str, *questions: dict[str, object]) -> dict[str, object]:
        return {"doc": {"uid": uid, "page": 57, "source": "annual_2019.pdf"}, "questions": list(questions)}

    folder.mkdir()
    train = [
        entry(
            "aa",
            question("q1", ["55%", "50%"], [{"block2": [0, 3]}, {"block1": [2, 5]}]),
            question("q2", 2.14, [{"block3": [0, 3]}], scale="million", answer_type="arithmetic"),
            question("q3", "3", [{"gone": [0, 3]}], answer_type="count"),
            question("q7", 150092, [{"block1": [0, 3]}], scale="None"),
        ),
        entry("bb", question("q4", -0.5, {"gone": [0, 1]}, scale="percent")),
        entry("cc", question("q5", "x", [])),
        "no object",
        {"doc": {"uid": "aa"}, "questions": None},
    ]
    test = [entry("dd", question("q6", "42", [{"only": [0, 1]}], scale="thousand"))]
    bare = [entry("dd", {"uid": "q6", "order": 1, "question": "Question q6?"})]
    for name, entries in {"train": train, "test_gold": test, "test": bare}.items():
        (folder / f"tatdqa_dataset_{name}.json").write_text(json.dumps(entries))
    with zipfile.ZipFile(folder / "tatdqa_docs_train.zip", "w") as archive:
        archive.writestr("train/aa.pdf", make_pdf(REPORT))
        archive.writestr("train/aa.json", layout("block1", "block2", "block3"))
        archive.writestr("train/../../bb.pdf", make_pdf(LEAFLET))
        archive.writestr("__MACOSX/train/._aa.pdf", b"not a PDF")
    with zipfile.ZipFile(folder / "tatdqa_docs_test.zip", "w") as archive:
        archive.writestr("test/dd.pdf", make_pdf(LEAFLET))
        archive.writestr("test/dd.json", layout("only"))
    return folder


def test_tat_dqa_finds_the_pages_of_blocks_and_keeps_scales(tmp_path, make_pdf) -> None:
    source = tat_dqa(tmp_path / "source", make_pdf)
    found = converted("tat-dqa", source, tmp_path / "out")
    assert [page.text for page in found.pages.values()] == REPORT + LEAFLET + LEAFLET
    assert not (tmp_path / "bb.pdf").exists()  # a member's path leads nowhere
    assert {path.name for path in (tmp_path / "out/pages/documents").iterdir()} == {
        "aa.pdf",
        "bb.pdf",
        "dd.pdf",
    }
    assert found.gold == {
        "Question q1?": ("aa#1", "aa#2"),
        "Question q2?": ("aa#3",),
        "Question q7?": ("aa#1",),
        "Question q4?": ("bb#1",),  # its block is in no layout, but there is one page
        "Question q6?": ("dd#1",),
    }
    assert {text: question.answers for text, question in found.questions.items()} == {
        "Question q1?": ("55%, 50%",),
        "Question q2?": ("2.14 million",),
        "Question q7?": ("150092",),
        "Question q4?": ("-0.5%",),
        "Question q6?": ("42 thousand",),
    }
    assert found.splits["test"] == ["Question q6?"]
    assert found.dropped == {
        "questions_without_document": 1,
        "questions_without_gold_page": 1,
        "rows_that_are_wrong": 2,
    }
    told = [problem for problem in found.manifest.problems if "no list of questions" in problem.reason]
    assert [problem.where for problem in told] == [f"tatdqa_dataset_train.json row {row}" for row in (4, 5)]

    with zipfile.ZipFile(source / "tatdqa_docs_train.zip") as archive:  # read independently
        pages = json.loads(archive.read("train/aa.json"))["pages"]
    asked = json.loads((source / "tatdqa_dataset_train.json").read_text())[0]["questions"]
    for question in asked[:2]:
        uuids = {uuid for mapping in question["block_mapping"] for uuid in mapping}
        places = {n for n, page in enumerate(pages, 1) for block in page["blocks"] if block["uuid"] in uuids}
        assert found.gold[question["question"]] == tuple(f"aa#{n}" for n in sorted(places))


def example(uid: object, query: str, answer: object, file_name: str, pages: list[int]) -> dict[str, object]:
    meta = {"file_name": file_name, "reference_page": pages, "source_type": "text", "query_type": "x"}
    return {"uid": uid, "query": query, "reference_answer": answer, "meta_info": meta}


def test_vidoseek_counts_from_1_and_reads_its_zip(tmp_path, make_pdf) -> None:
    source = tmp_path / "source"
    source.mkdir()
    examples = [
        example("aa_1", "What leaks?", "the pump", "aa.pdf", [2]),
        example("aa_2", "What turns, and what is green?", "rotor and valve", "aa.pdf", [1, 3]),
        example("aa_3", "What is beyond?", "nothing", "aa.pdf", [4]),
        example("bb_1", "What brakes?", "it", "bb.pdf", [1]),
    ]
    (source / "vidoseek.json").write_text(json.dumps({"examples": examples}))
    with zipfile.ZipFile(source / "vidoseek_pdf_document.zip", "w") as archive:
        archive.writestr("vidoseek_pdf_document/aa.pdf", make_pdf(REPORT))
    found = converted("vidoseek", source, tmp_path / "out")
    assert found.gold == {
        "What leaks?": ("aa#2",),
        "What turns, and what is green?": ("aa#1", "aa#3"),
    }
    assert found.questions["What leaks?"].question_id == "vidoseek-aa_1"
    assert PageImages(tmp_path / "out/pages").size("aa#2") == (534, 400)  # shown from what was unpacked
    again = converted("vidoseek", source, tmp_path / "out")
    assert again.manifest.fingerprint == found.manifest.fingerprint
    assert found.questions["What leaks?"].document == ""  # they are asked of the whole corpus
    assert found.dropped == {
        "gold_pages_that_are_missing": 1,
        "questions_without_document": 1,
        "questions_without_gold_page": 1,
    }


def test_vrags_conversions_have_page_images_and_numbers_for_ids(tmp_path) -> None:
    source = tmp_path / "source"
    (source / "img").mkdir(parents=True)
    for name in ("deck_a_1", "deck_a_2", "deck_b_1"):
        (source / f"img/{name}.jpg").write_bytes(vidore_lab.picture(name, "JPEG"))
    train = [example(0, "What grows?", "Sales", "deck_a.pdf", [2]), example(1, "Why?", "x", "lost.pdf", [1])]
    test = [
        example(0, "What falls?", "Costs", "deck_b.pdf", [1]),
        example(1, "Who?", "Not answerable", "deck_b.pdf", [1]),
    ]
    (source / "SlideVQA_train.json").write_text(json.dumps({"examples": train}))
    (source / "SlideVQA_test.json").write_text(json.dumps({"examples": test}))
    found = converted("vidoseek", source, tmp_path / "out")
    assert sorted(found.pages) == ["deck_a#1", "deck_a#2", "deck_b#1"]
    assert found.splits == {"train": ["What grows?"], "test": ["What falls?"]}
    assert found.gold == {"What grows?": ("deck_a#2",), "What falls?": ("deck_b#1",)}
    assert {question.question_id for question in found.questions.values()} == {
        "vidoseek-SlideVQA_train-0",
        "vidoseek-SlideVQA_test-0",
    }
    assert found.dropped == {"questions_without_an_answer": 1, "questions_without_document": 1}


@pytest.mark.parametrize(
    "name", ["mmlongbench-doc", "tat-dqa", "vidoseek", "madqa", "deepretrieval"], ids=str
)
def test_a_folder_that_holds_no_data_set_is_one_line(tmp_path, name: str) -> None:
    for source in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match=r"--(source|corpus) .*: (holds|no such)"):
            converted(name, source, tmp_path / "out")


def test_mmdocirs_labels_are_joined_to_pdfs_where_its_pages_are_not_there(tmp_path, make_pdf) -> None:
    source = tmp_path / "source"
    (source / "dataset").mkdir(parents=True)
    (source / "a report.pdf").write_bytes(make_pdf(REPORT))
    asked = [
        {"Q": "What leaks?", "A": "the pump", "page_id": [1]},
        {"Q": "What is not there?", "page_id": [3]},
    ]
    lines = [
        {"doc_name": "a report.pdf", "page_indices": [7, 9], "questions": asked},
        {"doc_name": "lost.pdf", "page_indices": [0, 6], "questions": [{"Q": "Where?", "page_id": [0]}] * 2},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (source / "dataset/MMDocIR_annotations.jsonl").write_text(text)
    found = converted("mmdocir", source, tmp_path / "out")
    assert found.gold == {"What leaks?": ("a report#2",)}
    assert found.questions["What leaks?"].document == "a report"
    assert found.dropped == {"questions_without_document": 2, "questions_without_gold_page": 1}
