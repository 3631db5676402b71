"""Data sets of page images for question answering: their fixtures, as they lie on disk, become pages and questions."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
import vidore_lab

from data_preprocess.convert import convert_dataset
from data_preprocess.visual_rows import listed
from drag_rl.corpus.pages import load_pages
from drag_rl.errors import InputError
from drag_rl.questions import read_questions
from drag_rl.splits import SPLITS, document_of
from drag_rl.types import Question


def convert(name: str, source: Path, out: Path):
    """Manifest, source hash by page, and questions by text."""
    manifest = convert_dataset(name, source, out / "pages", out)
    pages = {page.page_id: page for page in load_pages(out / "pages")}
    files = [out / f"questions.{split}.parquet" for split in SPLITS]
    asked = [question for file in files if file.exists() for question in read_questions(file)]
    assert all(question.document == document_of(question) for question in asked), "asked of one document each"
    return manifest, pages, {question.text: question for question in asked}


def dropped(manifest) -> dict[str, int]:
    return {
        name.removeprefix("dropped_"): count
        for name, count in manifest.counts.items()
        if name.startswith("dropped_")
    }


def gold(questions: dict[str, Question]) -> dict[str, tuple[str, ...]]:
    return {text: question.gold_page_ids for text, question in questions.items()}


def challenge(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"dataset_name": "x", "data": rows}))


def test_docvqa_of_the_challenge_puts_pages_together(tmp_path: Path) -> None:
    source = tmp_path / "docvqa"
    (source / "documents").mkdir(parents=True)
    for name in ("ab_1", "ab_7"):
        (source / f"documents/{name}.png").write_bytes(vidore_lab.picture(name))
    row = {"docId": 1, "ucsf_document_id": "ab", "ucsf_document_page_no": "1", "image": "documents/ab_1.png"}
    challenge(
        source / "val_v1.0_withQT.json",
        [
            row
            | {"questionId": 1, "question": "What date?", "answers": ["1 May", "May 1"], "data_split": "val"},
            row | {"questionId": 2, "question": "Who?", "answers": ["Ann"], "data_split": "val"},
            row
            | {"questionId": 3, "question": "Where?", "answers": ["here"], "data_split": "val"}
            | {"ucsf_document_page_no": "7", "image": "documents/ab_7.png"},
            row | {"questionId": 3, "question": "Where else?", "answers": [], "data_split": "val"},
            row | {"questionId": 4, "question": " ", "answers": [], "data_split": "val"},
            {"questionId": 5, "question": "Nowhere?", "image": "documents/lost.png", "docId": 9},
        ],
    )
    manifest, pages, questions = convert("docvqa", source, tmp_path / "out")
    assert {page_id: page.status for page_id, page in pages.items()} == {
        "ab#1": "ok",
        "ab#7": "ok",
        "docvqa-9#1": "failed",
    }
    assert gold(questions) == {"What date?": ("ab#1",), "Who?": ("ab#1",), "Where?": ("ab#7",)}
    assert questions["What date?"].answers == ("1 May", "May 1")
    assert dropped(manifest) == {
        "gold_pages_that_failed": 1,
        "questions_asked_again": 1,
        "questions_whose_gold_failed": 1,
        "questions_without_text": 1,
    }
    assert {problem.where for problem in manifest.problems} == {
        f"val_v1.0_withQT.json row {number}" for number in (4, 5, 6)
    }


def test_infographicvqa_of_the_hub_goes_by_its_address(tmp_path: Path) -> None:
    source = tmp_path / "infographics"
    address = "https://a.org/one.png"
    vidore_lab.write(
        source / "InfographicVQA/validation-00000-of-00001.parquet",
        {
            "questionId": (pa.string(), ["1", "2", "3"]),
            "question": (pa.string(), ["How many?", "Which?", "Why?"]),
            "answers": (pa.list_(pa.string()), [["3"], ["red"], None]),
            "image": (
                vidore_lab.IMAGE,
                [vidore_lab.cell("one"), vidore_lab.cell("one"), vidore_lab.cell("two")],
            ),
            "image_url": (pa.string(), [address, address, "https://a.org/two.png"]),
        },
    )
    _, pages, questions = convert("infographicvqa", source, tmp_path / "out")
    assert sorted(pages) == [f"{address}#1", "https://a.org/two.png#1"]
    assert gold(questions)["Which?"] == (f"{address}#1",)
    assert read_questions(tmp_path / "out/questions.val.parquet")[2].answers == ()


@pytest.mark.parametrize("on_the_hub", [False, True])
def test_mp_docvqa_knows_pages_by_their_ids(tmp_path: Path, on_the_hub: bool) -> None:
    source, names = tmp_path / "mp", [["ab_p3", "ab_p4"], ["ab_p4", "ab_p5"], ["ab_p3"]]
    asked, places = ["On the second?", "On the first?", "Nowhere?"], [1, 0, None]
    if on_the_hub:
        cells = [[vidore_lab.cell(name) for name in own] + [None] * 2 for own in names]
        vidore_lab.write(
            source / "data/val-00000-of-00001.parquet",
            {
                "questionId": (pa.string(), ["1", "2", "3"]),
                "question": (pa.string(), asked),
                "doc_id": (pa.string(), ["ab"] * 3),
                "page_ids": (pa.string(), [str(own) for own in names]),
                "answers": (pa.string(), ["['x', 'y']", "['z']", "[]"]),
                "answer_page_idx": (pa.string(), ["1", "0", "None"]),
                **{f"image_{n + 1}": (vidore_lab.IMAGE, [own[n] for own in cells]) for n in range(2)},
            },
        )
    else:
        (source / "images").mkdir(parents=True)
        for name in ("ab_p3", "ab_p4", "ab_p5"):
            (source / f"images/{name}.jpg").write_bytes(vidore_lab.picture(name, "JPEG"))
        rows = zip(asked, names, places, [["x", "y"], ["z"], []], strict=True)
        challenge(
            source / "val.json",
            [
                {"questionId": n, "question": text, "doc_id": "ab", "page_ids": own, "answers": answers}
                | {"answer_page_idx": place, "data_split": "val"}
                for n, (text, own, place, answers) in enumerate(rows, start=1)
            ],
        )
    manifest, pages, questions = convert("mp-docvqa", source, tmp_path / "out")
    assert {page_id: page.status for page_id, page in pages.items()} == dict.fromkeys(
        ["ab#4", "ab#5", "ab#6"], "ok"
    )
    assert gold(questions) == {"On the second?": ("ab#5",), "On the first?": ("ab#5",)}
    assert questions["On the second?"].answers == ("x", "y")
    assert dropped(manifest) == {"questions_without_gold_page": 1}


def test_slidevqa_takes_the_slides_of_a_deck_once(tmp_path: Path) -> None:
    source, slides = tmp_path / "slides", [vidore_lab.cell("1"), vidore_lab.cell("2"), None]
    vidore_lab.write(
        source / "data/test-00000-of-00001.parquet",
        {
            "deck_name": (pa.string(), ["deck", "deck"]),
            "qa_id": (pa.int64(), [11, 12]),
            "question": (pa.string(), ["What grows?", "What falls?"]),
            "answer": (pa.string(), ["Sales", "Costs"]),
            "evidence_pages": (pa.list_(pa.int64()), [[2, 1], [21]]),
            **{f"page_{n}": (vidore_lab.IMAGE, [slides[min(n, 3) - 1]] * 2) for n in range(1, 21)},
        },
    )
    manifest, pages, questions = convert("slidevqa", source, tmp_path / "out")
    assert sorted(pages) == ["deck#1", "deck#2"]
    assert gold(questions) == {"What grows?": ("deck#2", "deck#1")}
    assert dropped(manifest) == {"questions_without_gold_page": 1}


def test_mmdocir_counts_from_0(tmp_path: Path) -> None:
    source = tmp_path / "mmdocir"
    texts = ["The rotor turns.", "The pump leaks.", "Only one page."]
    vidore_lab.write(
        source / "MMDocIR_pages.parquet",
        {
            "doc_name": (pa.string(), ["a.pdf", "a.pdf", "b.pdf"]),
            "passage_id": (pa.string(), ["0", "1", "0"]),
            "image_binary": (pa.binary(), [vidore_lab.picture(text, "JPEG") for text in texts]),
            "ocr_text": (pa.string(), texts),
            "vlm_text": (pa.string(), [None, None, "other"]),
        },
    )
    lines = [
        {
            "doc_name": "a.pdf",
            "page_indices": [0, 1],
            "questions": [
                {"Q": "What leaks?", "A": "the pump", "page_id": [1], "type": "text"},
                {"Q": "What turns or leaks?", "A": "both", "page_id": [0, 1, 5]},
                {"Q": "What is not there?", "A": "", "page_id": [9]},
            ],
        },
        {"doc_name": "b.pdf", "page_indices": [2, 4], "questions": []},
    ]
    (source / "MMDocIR_annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest, pages, questions = convert("mmdocir", source, tmp_path / "out")
    assert {page_id: page.text for page_id, page in pages.items()} == dict(
        zip(["a#1", "a#2", "b#1"], texts, strict=True)
    )
    assert gold(questions) == {"What leaks?": ("a#2",), "What turns or leaks?": ("a#1", "a#2")}
    assert dropped(manifest) == {"gold_pages_that_are_missing": 1, "questions_without_gold_page": 1}
    assert [problem.where.removeprefix("MMDocIR_annotations.jsonl ") for problem in manifest.problems] == [
        "line 1 question 2",
        "line 1 question 3",
        "line 2",
    ]


@pytest.mark.parametrize("name", ["docvqa", "infographicvqa", "mmdocir", "mp-docvqa", "slidevqa"])
def test_an_empty_folder_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"--source .*: holds no"):
        convert_dataset(name, tmp_path, tmp_path / "pages", tmp_path / "out")


@pytest.mark.parametrize("text", ["[1, 'a", "[" * 500, "['a'] or __import__('os')", "[x]"])
def test_a_list_that_is_none_is_text(text: str) -> None:
    assert listed(text) == [text]
