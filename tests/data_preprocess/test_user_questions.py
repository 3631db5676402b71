"""A user's questions arrive as they were meant, or the line that is wrong is named."""

from __future__ import annotations

import json
import struct
import tempfile
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_corpus import page_of

from data_preprocess import question_images
from data_preprocess.graded_pages import parse_pages
from data_preprocess.question_images import check_image
from data_preprocess.user_questions import (
    COLUMNS,
    Documents,
    app,
    import_questions,
    read_user_questions,
)
from drag_rl.console import run_app
from drag_rl.corpus.pages import write_pages
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
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
    Image.new("RGB", (20, 10)).save(tmp_path / "photo.png")
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


@pytest.mark.parametrize(
    ("pages", "grades", "graded"),
    [
        ([3, 1], [2, 4], {"manual-1#1": 4, "manual-1#3": 2}),
        ("3, 1-2", "3, 1, 2", {"manual-1#1": 1, "manual-1#2": 2, "manual-1#3": 3}),
        ("1-3", 2, {"manual-1#1": 2, "manual-1#2": 2, "manual-1#3": 2}),
        ([2, 2], [3, 3], {"manual-1#2": 3}),
        (2, None, {"manual-1#2": 1}),
    ],
)
def test_grades_are_those_of_the_pages_as_they_are_written(
    tmp_path: Path, pages: object, grades: object, graded: dict[str, int]
) -> None:
    path = write_jsonl(tmp_path / "q.jsonl", GOOD | {"pages": pages, "grades": grades})
    (question,) = read_user_questions(path, DOCUMENTS)
    assert dict(zip(question.gold_page_ids, question.grades, strict=True)) == graded


def test_a_question_may_be_asked_of_its_document(tmp_path: Path) -> None:
    of_document = {name: value for name, value in GOOD.items() if name != "file"} | {
        "document": "manual-1.pdf"
    }
    path = write_jsonl(tmp_path / "q.jsonl", GOOD, of_document, GOOD | {"document": "manual-1"})
    questions = read_user_questions(path, DOCUMENTS)
    assert [question.document for question in questions] == ["", "manual-1", "manual-1"]
    assert {question.gold_page_ids for question in questions} == {("manual-1#2",)}


@pytest.mark.parametrize("file", ["manual-1", "manual-1.pdf", "manual-1.pdf.gz", "./manual-1.pdf"])
def test_a_file_may_be_called_by_any_of_its_names(file: str) -> None:
    assert DOCUMENTS.find(file) == "manual-1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"question": " "}, "question is missing"),
        ({"file": None}, "file is missing"),
        ({"file": "manual"}, "'manual' is not one of the documents"),
        ({"file": "guide.pdf"}, "deep/guide or other/guide"),
        ({"document": "guide.pdf"}, "deep/guide or other/guide"),
        ({"document": "manual-2"}, "document manual-2 is not file manual-1, which answers"),
        ({"pages": None}, "pages is missing"),
        ({"pages": 4}, "manual-1 has no page 4; it has 3"),
        ({"pages": 0}, "pages 0: pages count from 1"),
        ({"pages": "5-3"}, "not a page number"),
        ({"pages": "two"}, "not a page number"),
        ({"pages": "1-999999999"}, "not a page number"),
        ({"pages": True}, "not a page number"),
        ({"file": "broken", "pages": 1}, "could not be read"),
        ({"file": "manual-0", "pages": [1, 3]}, "left out of the pool"),
        ({"images": ["none.png"]}, "none.png cannot be read: there is no such file"),
        ({"colour": "red"}, "column 'colour' is unknown"),
        ({"id": "q1"}, "is duplicated: line 1 has it too"),
        ({"id": [0]}, r"id: \[0\] is not text"),
        ({"id": True}, "id: True is not text"),
        ({"answers": [{"text": "so"}]}, "answers: {'text': 'so'} is not text"),
        ({"page": 3}, "pages and page are both given"),
        ({"grade": 0}, "grades 0: a grade is a whole number from 1 to 1000"),
        ({"grade": 1.5}, "grades 1.5: a grade is a whole number"),
        ({"grades": [True]}, "grades .True.: a grade is a whole number"),
        ({"pages": [1, 2], "grades": "1, 2, 3"}, "grades: 3 for 2 pages; give one for all, or one for each"),
        ({"pages": [1, 1], "grades": [1, 2]}, "grades: page 1 is named twice, with 1 and 2"),
        ({"pages": "1" * 5000}, "not a page number, a list, or a range"),
        ({"pages": 10**12}, "not a page number, a list, or a range"),
        ({"pages": "9" * 200}, r"pages '9{99}\.\.\. is not a page number"),
        ({"question": "half a \ud800"}, r"holds '\\ud800', a lone surrogate"),
        ({"\udfff": ""}, "a lone surrogate"),
        ({"answers": [["\ud800"]]}, "a lone surrogate"),
        ({"images": ["\0"]}, "there is no such file"),
        ({"images": ["x" * 300]}, "cannot be read"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, object], named: str) -> None:
    path = write_jsonl(tmp_path / "q.jsonl", GOOD | {"id": "q1"}, GOOD | change)
    with pytest.raises(InputError, match=named) as error:
        read_user_questions(path, DOCUMENTS)
    assert str(error.value).startswith(f"{path} line 2: ")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "xlsx"])
def test_every_wrong_row_is_told_at_once_and_nothing_is_written(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pages(tmp_path / "pages", corpus(), stage="ingest", pdf_dir=None)
    path = tmp_path / f"q.{suffix}"
    table = [["question", "file", "pages"]]
    table += [
        ["How?", "manual-1", "1"],
        ["", "manual-1", "1"],
        ["Who?", "manual-1", "99"],
        ["Why?", "none", "1"],
    ]
    if suffix == "jsonl":
        rows = [json.dumps(dict(zip(table[0], row, strict=True))) for row in table[1:]]
        path.write_text("\n".join([rows[0], "{", *rows[1:]]))
        wrong = [2, 3, 4, 5]
    elif suffix == "csv":
        path.write_text("\n".join(map(",".join, [table[0], table[1], ["short"], *table[2:]])))
        wrong = [3, 4, 5, 6]
    else:
        book = openpyxl.Workbook()
        for row in [table[0], table[1], ["a", "b", "c", "too many"], *table[2:]]:
            book.active.append(row)
        book.save(path)
        wrong = [3, 4, 5, 6]
    with pytest.raises(SystemExit) as stop:
        words = ["--input", path, "--pages", tmp_path / "pages", "--out", tmp_path / "out"]
        run_app(app, "drag data questions", [str(word) for word in words])
    told = capsys.readouterr().err.splitlines()
    word = "row" if suffix == "xlsx" else "line"
    assert stop.value.code == 2
    assert [line.split(": ")[0] for line in told[:-1]] == [f"{path} {word} {number}" for number in wrong]
    assert f"{path}: 4 rows are wrong, and no question is taken; {path} {word} {wrong[0]}: " in told[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("q.jsonl", b'{"question": \n', "line 1: is not a JSON"),
        ("q.jsonl", b"[1]\n", "line 1: is not a JSON object"),
        ("q.jsonl", b"[" * 100_000, "line 1: is nested too deeply"),
        (
            "q.jsonl",
            b'{"question": ' + b"[" * 300_000 + b"]" * 300_000 + b"}",
            "line 1: is nested too deeply",
        ),
        ("q.jsonl", b'{"file": ' + b"[" * 900 + b"]" * 900 + b"}", "line 1: "),
        ("q.jsonl", b'{"id": ' + b"9" * 5000 + b"}", "line 1: is not a JSON object"),
        ("q.jsonl", b'{"pages": NaN}', "line 1: is not a JSON object .NaN is not a number"),
        ("q.jsonl", b'{"file": "a", "file": "b"}', "line 1: is not a JSON object .'file' is duplicated"),
        ("q.csv", b"question,file,file,pages\nHow?,a,manual-1,1\n", "line 1: column 'file' is duplicated"),
        ("q.csv", b"question,file,pages\nHow?,manual-1," + b"1" * 5000, "line 2: .* is not a page number"),
        ("q.jsonl", b"\xff\xfe\x00", "cannot be read as UTF-8"),
        ("q.jsonl", b"\n\n", "has no question"),
        ("q.csv", b"question,file,pages\nHow?,manual-1\n", "line 2: has more or fewer fields"),
        ("q.csv", b'question,file,pages\n"How?,manual-1,1\n', "cannot be read as UTF-8 csv"),
        ("q.ods", b"", "must be a .jsonl, .csv, .xlsx or .parquet file"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=named):
        read_user_questions(tmp_path / name, DOCUMENTS)


@pytest.mark.parametrize(("given_id", "found"), [(0, "0"), ("0", "0"), (7.5, "7.5"), ("", ""), (None, "")])
def test_an_id_stays_what_it_is(tmp_path: Path, given_id: object, found: str) -> None:
    path = write_jsonl(tmp_path / "q.jsonl", GOOD | {"id": given_id, "answer": 0, "data_source": 0})
    (question,) = read_user_questions(path, DOCUMENTS)
    assert question.question_id == (found or "user-00001")
    assert (question.answers, question.data_source) == (("0",), "0")


def picture(path: Path, width: int, height: int, **options: Any) -> Path:
    Image.new("L", (width, height)).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.webp", "a.bmp", "a.tiff"])
def test_an_image_of_any_common_kind_is_taken(tmp_path: Path, name: str) -> None:
    check_image(picture(tmp_path / name, 30, 20))


def test_an_image_must_be_one_that_a_model_can_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "page.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for suffix in ("png", "jpg", "gif"):
        whole = picture(tmp_path / f"whole.{suffix}", 300, 200).read_bytes()
        (tmp_path / f"half.{suffix}").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=rf"half\.{suffix} cannot be read"):
            check_image(tmp_path / f"half.{suffix}")
    for name in ("text.png", "page.eps"):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            check_image(tmp_path / name)
    with pytest.raises(InputError, match="10000 x 10000 pixels, more than"):
        check_image(bomb(tmp_path / "bomb.png", 10_000))
    with pytest.raises(InputError, match="has 300 x 1 pixels, which is too narrow for a model; crop it"):
        check_image(picture(tmp_path / "strip.png", 1, 300))
    monkeypatch.setattr(question_images, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="has more than 0 MiB"):
        check_image(tmp_path / "whole.png")


def bomb(path: Path, side: int) -> Path:
    """A PNG of a few bytes that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    return path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100)  # each reads a file
@given(st.dictionaries(st.sampled_from(COLUMNS), JSON), st.randoms())
def test_whatever_a_row_holds_it_is_a_question_or_one_line(values: dict[str, Any], draw: Random) -> None:
    row = GOOD | {name: value for name, value in values.items() if draw.random() < 0.7}
    with tempfile.TemporaryDirectory() as folder:
        path = write_jsonl(Path(folder) / "q.jsonl", row)
        try:
            (question,) = read_user_questions(path, DOCUMENTS)
        except InputError as error:
            assert str(error).startswith(f"{path} line 1: ")
            assert "\n" not in str(error)
        else:
            json.dumps(asdict(question), ensure_ascii=False).encode()


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
    assert run("--val", "0", "--test", "1") == 0
    assert [path.name for path in sorted((tmp_path / "out").glob("*.parquet"))] == ["questions.test.parquet"]
    assert len(read_questions(tmp_path / "out" / "questions.test.parquet")) == 27
    assert run("--val", "0.5", "--test", "0.5") == 0
    assert not (tmp_path / "out" / "questions.train.parquet").exists()
    for val, test in (("nan", "0.1"), ("0.1", "nan"), ("-0.1", "0.5"), ("0.6", "0.5"), ("inf", "0")):
        with pytest.raises(InputError, match="must be at least 0, and at most 1 together"):
            import_questions(
                path, tmp_path / "pages", tmp_path / "out", val=float(val), test=float(test), seed=0
            )
    write_jsonl(path, rows[0] | {"page": 9})
    assert run() == 2
    assert "line 1: manual-0 has no page 9" in capsys.readouterr().err


def test_copies_of_one_pdf_are_never_parted(tmp_path: Path) -> None:
    names = [f"{name}{copy}" for name in "abcd" for copy in ("", "-copy")]
    pages = [replace(page_of(name, 1, "words"), source_sha256=name[0]) for name in sorted(names)]
    write_pages(tmp_path / "pages", pages, stage="ingest", pdf_dir=None)
    path = write_jsonl(
        tmp_path / "q.jsonl", *({"question": f"What of {name}?", "file": name, "page": 1} for name in names)
    )
    for seed in range(5):
        manifest = import_questions(path, tmp_path / "pages", tmp_path / "out", val=0.3, test=0.3, seed=seed)
        documents = manifest.config["documents"]
        assert all(documents[name] == documents[f"{name}-copy"] for name in "abcd")
        assert set(documents.values()) == {"train", "val", "test"}


def test_documents_of_images_are_known_by_their_folder_or_file() -> None:
    pages = [replace(page_of("deck", 2, "Rotor"), source_file="deck/slide2.png")]
    pages += [replace(page_of("scan", n, "Pump"), source_file=f"in/scan.tif#{n}") for n in (1, 2)]
    documents = Documents(pages, {})
    assert [documents.find(name) for name in ("deck", "scan", "scan.tif", "in/scan.tif")] == ["deck"] + [
        "scan"
    ] * 3
