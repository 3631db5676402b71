"""MADQA as the DRAG tutorial has it: an OCR file, the hub's rows of both versions, and split files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import vidore_lab
from convert_lab import converted

from data_preprocess.selection import Selection
from drag_rl.question_ids import QuestionIds

PAGES = {
    ("ch47.pdf", 1): "Cover of the manual",
    ("ch47.pdf", 2): "The maximum speed is 170 knots.",
    ("ch47.pdf", 3): "Service intervals",
    ("uh60.pdf", 1): "The rotor is serviced every 50 hours.",
}
PLACE = pa.struct([("document", pa.string()), ("page", pa.int64())])


def madqa(folder: Path) -> Path:
    """The files as they lie on disk after the tutorial's downloads."""
    (folder / "splits").mkdir(parents=True)
    lines = [
        {"file": file, "service": "textract", "page_number": page, "total_pages": 3, "text": text}
        for (file, page), text in PAGES.items()
    ]
    (folder / "ocr_output.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    vidore_lab.write(
        folder / "data/train-00000-of-00001.parquet",
        {
            "id": (pa.string(), ["q1", "q2", "q3", "q4"]),
            "question": (pa.string(), ["How fast?", "How often, and where?", "What else?", "Why?"]),
            "answer_variants": (
                pa.list_(pa.list_(pa.string())),
                [[["170 knots"], ["315", "km/h"]], [["50 hours"]], [["x"]], [["y"]]],
            ),
            "evidence": (
                pa.list_(PLACE),
                [
                    [{"document": "ch47.pdf", "page": 2}],
                    [{"document": "uh60.pdf", "page": 1}, {"document": "ch47.pdf", "page": 3}],
                    [{"document": "ch47.pdf", "page": 9}],
                    [],
                ],
            ),
        },
    )
    older = {
        "id": "q5",
        "question": "Which cover?",
        "answers": ["the manual"],
        "answer_locations": "ch47.pdf:1",
    }
    (folder / "data/dev.jsonl").write_text(json.dumps(older) + "\n")
    played = {"id": "traj_q1", "question": "How fast?", "ground_truth": {"file": "ch47.pdf", "page": 2}}
    (folder / "trajectories.jsonl").write_text(json.dumps(played) + "\n{cut off")
    split = {"items": [{"question_id": "q2"}, {"question_id": "q0"}]}
    (folder / "splits/ctt_subset_test.json").write_text(json.dumps(split))
    return folder


def test_places_become_gold_and_split_files_decide(tmp_path) -> None:
    source = madqa(tmp_path / "source")
    found = converted("madqa", source, tmp_path / "out")
    assert {(page.doc_id + ".pdf", page.page_number): page.text for page in found.pages.values()} == PAGES
    assert found.gold == {
        "How fast?": ("ch47#2",),
        "How often, and where?": ("uh60#1", "ch47#3"),
        "Which cover?": ("ch47#1",),
    }
    assert found.splits == {
        "train": ["How fast?"],
        "val": ["Which cover?"],
        "test": ["How often, and where?"],
    }
    assert found.questions["How fast?"].question_id == "q1"  # as the split files have it
    assert found.questions["How fast?"].answers == ("170 knots", "315, km/h")
    assert found.dropped == {"gold_pages_that_are_missing": 1, "questions_without_gold_page": 2}
    assert found.manifest.config["page_base"]["questions"] > 0
    assert "trajectories.jsonl line 2" in {problem.where for problem in found.manifest.problems}


def test_a_split_file_chooses_as_in_evaluation(tmp_path) -> None:
    source = madqa(tmp_path / "source")
    named = QuestionIds(include=(source / "splits/ctt_subset_test.json",))
    found = converted("madqa", source, tmp_path / "out", Selection(named=named))
    assert found.splits == {"test": ["How often, and where?"]}
    assert found.dropped["questions_not_named"] == 2


def test_without_an_ocr_file_the_pdfs_are_read(tmp_path, make_pdf) -> None:
    source = madqa(tmp_path / "source")
    (source / "ocr_output.jsonl").unlink()
    (source / "documents").mkdir()
    (source / "documents/ch47.pdf").write_bytes(make_pdf(["Cover", "170 knots", "Intervals"]))
    found = converted("madqa", source, tmp_path / "out")
    assert found.gold["How often, and where?"] == ("ch47#3",)
    assert found.dropped == {"gold_pages_that_are_missing": 2, "questions_without_gold_page": 2}
