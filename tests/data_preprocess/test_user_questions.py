"""A user's questions arrive as they were meant, or the line that is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import page_of

from data_preprocess.user_questions import Documents, app, parse_pages, read_user_questions
from drag_rl.console import run_app
from drag_rl.corpus.pages import write_pages
from drag_rl.errors import InputError
from drag_rl.manifest import read_manifest
from drag_rl.questions import read_questions
from drag_rl.types import Page


def corpus() -> list[Page]:
    pages = [page_of(f"manual-{n}", number, "words") for n in range(9) for number in range(1, 4)]
    pages += [page_of("deep/guide", number, "words") for number in range(1, 4)]
    pages += [page_of("other/guide", 1, "words"), page_of("broken", 1, "", status="failed")]
    return sorted(pages, key=lambda page: (page.doc_id, page.page_number))


DOCUMENTS = Documents(corpus(), {"manual-0#3": "index"})
GOOD = {"question": "How?", "file": "manual-1", "pages": 2}


def write_jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_jsonl_and_csv_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"png")
    jsonl = write_jsonl(
        tmp_path / "q.jsonl",
        {"question": "How, then?", "file": "deep/guide.pdf", "pages": [1, "2-3"], "answers": ["so", "thus"]},
        {"question": "Größe?", "file": "manual-2", "page": 3, "id": "mine", "images": "photo.png"},
    )
    csv = tmp_path / "q.csv"
    csv.write_text(
        "id,question,file,pages,answers,images\n"
        'user-00001,"How, then?",deep/guide.pdf.gz,"1, 2-3",so | thus,\n'
        "mine,Größe?,manual-2,3,,photo.png\n",
        encoding="utf-8-sig",
    )
    questions = read_user_questions(jsonl, DOCUMENTS)
    assert questions == read_user_questions(csv, DOCUMENTS)
    assert questions[0].gold_page_ids == ("deep/guide#1", "deep/guide#2", "deep/guide#3")
    assert questions[0].answers == ("so", "thus") and questions[0].data_source == "user"
    assert questions[1].images == (str((tmp_path / "photo.png").resolve()),)


@pytest.mark.parametrize("file", ["manual-1", "manual-1.pdf", "manual-1.pdf.gz", "./manual-1.pdf"])
def test_a_file_may_be_called_by_any_of_its_names(file: str) -> None:
    assert DOCUMENTS.find(file) == "manual-1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"question": " "}, "question is missing"),
        ({"file": None}, "file is missing"),
        ({"file": "manual"}, "'manual' is no document"),
        ({"file": "guide.pdf"}, "deep/guide or other/guide"),
        ({"pages": None}, "pages is missing"),
        ({"pages": 4}, "manual-1 has no page 4; it has 3"),
        ({"pages": 0}, "pages 0: pages count from 1"),
        ({"pages": "5-3"}, "no page number"),
        ({"pages": "two"}, "no page number"),
        ({"pages": "1-999999999"}, "no page number"),
        ({"pages": True}, "no page number"),
        ({"file": "broken", "pages": 1}, "could not be read"),
        ({"file": "manual-0", "pages": [1, 3]}, "left out of the pool"),
        ({"images": ["none.png"]}, "none.png is not there"),
        ({"colour": "red"}, "column 'colour' is not known"),
        ({"id": "q1"}, "stands on line 1 too"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, object], named: str) -> None:
    path = write_jsonl(tmp_path / "q.jsonl", GOOD | {"id": "q1"}, GOOD | change)
    with pytest.raises(InputError, match=named) as error:
        read_user_questions(path, DOCUMENTS)
    assert str(error.value).startswith(f"{path} line 2: ")


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("q.jsonl", b'{"question": \n', "line 1: is no JSON"),
        ("q.jsonl", b"[1]\n", "line 1: is no JSON object"),
        ("q.jsonl", b"\xff\xfe\x00", "cannot be read as UTF-8"),
        ("q.jsonl", b"\n\n", "holds no question"),
        ("q.csv", b"question,file,pages\nHow?,manual-1\n", "line 2: has more or fewer fields"),
        ("q.csv", b'question,file,pages\n"How?,manual-1,1\n', "cannot be read as UTF-8 csv"),
        ("q.xlsx", b"", "neither .jsonl nor .csv"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=named):
        read_user_questions(tmp_path / name, DOCUMENTS)


@given(st.sets(st.integers(1, 60), min_size=1))
def test_page_lists_and_ranges_mean_the_same(numbers: set[int]) -> None:
    ranges = ", ".join(str(n) if n + 1 not in numbers else f"{n}-{n + 1}" for n in sorted(numbers))
    assert parse_pages(ranges) == sorted(numbers) == parse_pages(sorted(numbers))


def test_files_are_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pages(tmp_path / "pages", corpus(), stage="ingest", pdf_dir=None)
    rows = [
        {
            "question": f"topic{n}{number} of chapter{n}{number}?",
            "file": f"manual-{n}",
            "page": number,
        }
        for n in range(9)
        for number in range(1, 4)
    ]
    path = write_jsonl(tmp_path / "q.jsonl", *rows)

    def run(*more: str) -> int:
        arguments = ["--input", path, "--pages", tmp_path / "pages", "--out", tmp_path / "out", *more]
        with pytest.raises(SystemExit) as stop:
            run_app(app, "data_preprocess.user_questions", [str(word) for word in arguments])
        return int(stop.value.code or 0)

    assert run() == 0
    documents = {
        split: {
            q.gold_page_ids[0].split("#")[0]
            for q in read_questions(tmp_path / "out" / f"questions.{split}.parquet")
        }
        for split in ("train", "val", "test")
    }
    assert [len(documents[split]) for split in ("train", "val", "test")] == [7, 1, 1]
    assert len(set.union(*documents.values())) == 9
    assert sum(read_manifest(tmp_path / "out").counts[f"questions_{s}"] for s in documents) == 27
    assert run("--val", "0", "--test", "0") == 0
    assert not (tmp_path / "out" / "questions.val.parquet").exists()
    assert "No file for val" in capsys.readouterr().out
    assert run("--val", "0.5", "--test", "0.5") == 2
    write_jsonl(path, rows[0] | {"page": 9})
    assert run() == 2
    assert "line 1: manual-0 has no page 9" in capsys.readouterr().err
