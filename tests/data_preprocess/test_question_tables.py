"""Questions come from spreadsheets and tables whose columns are called otherwise, or the row that is wrong is named."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from tiny_corpus import page_of

from data_preprocess import spreadsheet_rows
from data_preprocess.question_columns import read_columns
from data_preprocess.user_questions import COLUMNS, Documents, app, read_user_questions
from drag_rl.console import run_app
from drag_rl.corpus.pages import write_pages
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.types import Question

PAGES = [page_of("Handbuch", number, "Wörter") for number in range(1, 5)]
DOCUMENTS = Documents(PAGES, {})
GERMAN = {"question": "Frage", "document": "Dokument", "pages": "Seite", "answers": "Antwort"}
ROWS = [
    {"Nr": 1, "Frage": "Wie oft?", "Dokument": "Handbuch.pdf", "Seite": 2, "Antwort": "jährlich | einmal"},
    {"Nr": 2, "Frage": "Größe?", "Dokument": "Handbuch", "Seite": "3-4", "Antwort": None},
]
ASKED = [
    Question(
        question_id="user-00002",
        text="Wie oft?",
        gold_page_ids=("Handbuch#2",),
        answers=("jährlich", "einmal"),
        document="Handbuch",
    ),
    Question(
        question_id="user-00003",
        text="Größe?",
        gold_page_ids=("Handbuch#3", "Handbuch#4"),
        document="Handbuch",
    ),
]


def workbook(path: Path, *rows: list[Any], sheets: tuple[str, ...] = ("Fragen",)) -> Path:
    """A workbook that has these rows in the last of its sheets."""
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for name in sheets[1:]:
        book.create_sheet(name)
    for row in rows:
        book[sheets[-1]].append(row)
    book.save(path)
    return path


def german(path: Path) -> Path:
    table = pd.DataFrame(ROWS)
    if path.suffix == ".xlsx":
        return workbook(path, list(ROWS[0]), *(list(row.values()) for row in ROWS))
    if path.suffix == ".csv":
        table.to_csv(path, index=False, sep=";", encoding="utf-8-sig")
    elif path.suffix == ".parquet":
        table.astype({"Seite": str}).to_parquet(path)
    else:
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    return path


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".parquet", ".jsonl"])
def test_every_form_says_the_same_under_its_own_names(tmp_path: Path, suffix: str) -> None:
    asked = read_user_questions(german(tmp_path / f"fragen{suffix}"), DOCUMENTS, GERMAN)
    first = 2 if suffix in (".xlsx", ".csv") else 1  # below a header
    assert [one.question_id for one in asked] == [f"user-{number:05}" for number in (first, first + 1)]
    assert [(one.text, one.gold_page_ids, one.answers, one.document) for one in asked] == [
        (one.text, one.gold_page_ids, one.answers, one.document) for one in ASKED
    ]


def test_a_workbook_has_values_dates_gaps_and_a_title_row(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "q.xlsx",
        [],
        ["question", None, "file", "page", "id", "answer"],
        ["How?", "a note", "Handbuch", 1.0, 7, date(2024, 5, 1)],
        [],
        ["Why?", None, "Handbuch", "=1+1", None, None],
    )
    parts = {}
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert b"<f>1+1</f><v" in parts[sheet]
    parts[sheet] = (
        parts[sheet]
        .replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
        .replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>")
    )  # as Excel keeps what it calculated
    with zipfile.ZipFile(path, "w") as book:
        for name, data in parts.items():
            book.writestr(name, data)
    asked = read_user_questions(path, DOCUMENTS)
    assert [(one.question_id, one.gold_page_ids, one.answers) for one in asked] == [
        ("7", ("Handbuch#1",), ("2024-05-01",)),
        ("user-00005", ("Handbuch#2",), ()),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["question", "file", "page"], ["How?", "Handbuch", 9]], "row 2: Handbuch has no page 9"),
        ([["question", "file", "page"], [], ["How?", "Handbuch", None]], "row 3: pages is missing or empty"),
        ([["question", "file", "page"], ["How?", "Handbuch", "#REF!"]], "row 2: .*#REF!"),
        ([["question", "file", "page"], ["How?", "Handbuch", 1, 2]], "row 2: has 4 cells, more than the 3"),
        ([["question", "question"], ["How?"]], "row 1: column 'question' is duplicated"),
        (
            [["question", "file", "Seite"], ["How?", "Handbuch", 1]],
            "row 2: column 'Seite' is unknown.*--column",
        ),
        ([["question", "file", "page"]], "has no question"),
        ([], "has no question"),
        ([["question", *[None] * 1200, "file"]], "row 1: has more than 1000 columns"),
    ],
)
def test_what_is_wrong_in_a_workbook_is_named(tmp_path: Path, rows: list[list[Any]], said: str) -> None:
    with pytest.raises(InputError, match=f"q.xlsx:? {said}"):
        read_user_questions(workbook(tmp_path / "q.xlsx", *rows), DOCUMENTS)


def test_a_sheet_is_named_where_there_are_several(tmp_path: Path) -> None:
    rows = [["question", "file", "page"], ["How?", "Handbuch", 1]]
    path = workbook(tmp_path / "q.xlsx", *rows, sheets=("Lies mich", "Fragen"))
    (question,) = read_user_questions(path, DOCUMENTS, sheet="Fragen")
    assert question.text == "How?"
    with pytest.raises(InputError, match="has several sheets; give --sheet one of 'Lies mich', 'Fragen'"):
        read_user_questions(path, DOCUMENTS)
    with pytest.raises(InputError, match="has no sheet 'Rest'; give --sheet one of"):
        read_user_questions(path, DOCUMENTS, sheet="Rest")
    with pytest.raises(InputError, match=r"--sheet: .*q\.csv is no workbook"):
        read_user_questions(tmp_path / "q.csv", DOCUMENTS, sheet="Rest")


def zipped(**parts: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in parts.items():
            book.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as a workbook"),
        (b"\xd0\xcf\x11\xe0 encrypted", "cannot be read as a workbook .*without a password"),
        (zipped(), "cannot be read as a workbook"),
        (zipped(bomb=bytes(2 << 20)), "has more than 1 MiB unpacked; save the sheet as .csv"),
        (zipped(xml=b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb">]>'), "xml declares entities of XML"),
        (zipped(**{"[Content_Types].xml": b"<Types"}), "cannot be read as a workbook"),
    ],
)
def test_a_file_that_is_no_workbook_or_a_hostile_one_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setattr(spreadsheet_rows, "MAX_UNPACKED_BYTES", 1 << 20)
    (tmp_path / "q.xlsx").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_user_questions(tmp_path / "q.xlsx", DOCUMENTS)
    assert "\n" not in str(caught.value)


def test_a_workbook_cut_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = german(tmp_path / "whole.xlsx").read_bytes()
    for end in range(0, len(whole), 397):
        (tmp_path / "q.xlsx").write_bytes(whole[:end])
        with pytest.raises(InputError, match="cannot be read as a workbook"):
            read_user_questions(tmp_path / "q.xlsx", DOCUMENTS, GERMAN)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (["Frage"], "--column Frage: give OURS=THEIRS"),
        (["title=Frage"], "give OURS=THEIRS, with one of question, file"),
        (["page="], "give OURS=THEIRS"),
        (["page=a", "page=b"], "page is given twice"),
    ],
)
def test_a_wrong_setting_is_named(setting: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_columns(setting, COLUMNS)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 2: has no column 'Seiten', which --column names for pages"):
        read_user_questions(german(tmp_path / "q.xlsx"), DOCUMENTS, GERMAN | {"pages": "Seiten"})


def test_the_command_takes_a_workbook(tmp_path: Path) -> None:
    write_pages(tmp_path / "pages", PAGES, stage="ingest", pdf_dir=None)
    path = german(tmp_path / "fragen.xlsx")
    columns = [word for ours, theirs in GERMAN.items() for word in ("--column", f"{ours}={theirs}")]
    arguments = ["--input", path, "--pages", tmp_path / "pages", "--out", tmp_path / "out", *columns]
    with pytest.raises(SystemExit) as stop:
        run_app(app, "data_preprocess.user_questions", [str(word) for word in arguments])
    assert not stop.value.code
    assert read_manifest(tmp_path / "out").config["columns"] == GERMAN
