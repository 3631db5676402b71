"""No page of a PDF holds up the making of questions: what ingest gave up is not read again, and the rest is bounded."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest
from printed_manuals import FILLER, Manual

from data_preprocess import bounded_reading
from data_preprocess.bounded_reading import read_bounded
from data_preprocess.build import BuildOptions, build_questions
from data_preprocess.document_questions import DocumentQuestions, SentenceOptions
from drag_rl.corpus.pages import load_pages, write_pages
from drag_rl.corpus.pdf_pages import ReadOptions, read_document
from drag_rl.corpus.pool import read_left_out
from drag_rl.corpus.sources import find_sources
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.questions import read_questions
from drag_rl.types import Page

HOSTILE = 4
"""The page that no reader comes to the end of."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``book.pdf`` with a hostile page, ``pages`` where ingest gave it up, and ``unsuspected`` where it did not."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "pdfs").mkdir()
    Manual(
        [("1 Saving the workspace", FILLER[:60]), ("2 Loading old objects", FILLER[:60])], {}, "Book"
    ).save(folder / "plain.pdf")
    with pymupdf.open(folder / "plain.pdf") as document:
        never_end(document, HOSTILE)
        document.save(folder / "pdfs" / "book.pdf")
    (source,), _ = find_sources(folder / "pdfs")
    pages = read_document(folder / "pdfs", source, ReadOptions(), unreadable={HOSTILE: "no result"}).pages
    write_pages(folder / "pages", pages, stage="ingest", pdf_dir=folder / "pdfs")
    believed = [replace(page, status="ok", text=page.text or "Words.") for page in pages]
    write_pages(folder / "unsuspected", believed, stage="ingest", pdf_dir=folder / "pdfs")
    return folder


def never_end(document: pymupdf.Document, number: int) -> None:
    """Let a page draw forms within forms, 10 ** 12 in all."""
    inner = None
    for _ in range(13):
        xref = document.get_new_xref()
        names = f"/Resources<</XObject<</F {inner} 0 R>>>>" if inner else ""
        document.update_object(xref, f"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]{names}>>")
        document.update_stream(xref, b"/F Do " * 10 if inner else b"q Q")
        inner = xref
    page = document[number - 1]
    document.xref_set_key(page.xref, "Resources", f"<</XObject<</F {inner} 0 R>>>>")
    contents = document.get_new_xref()
    document.update_object(contents, "<<>>")
    document.update_stream(contents, b"/F Do")
    document.xref_set_key(page.xref, "Contents", f"{contents} 0 R")


def read(folder: Path, timeout_s: float) -> tuple[DocumentQuestions | None, list[tuple[str, str]]]:
    pages = load_pages(folder)
    path = folder.parent / "pdfs" / "book.pdf"
    found, problems = read_bounded(path, pages, SentenceOptions(), 0, page_timeout_s=timeout_s)
    return found, [(problem.where, problem.reason) for problem in problems]


def test_a_page_that_ingest_gave_up_is_not_read_again(corpus: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    build_questions(corpus / "pages", tmp_path / "pool", tmp_path / "questions", BuildOptions())
    assert time.monotonic() - started < 60  # no limit of time has run out
    assert read_manifest(tmp_path / "questions").problems == ()
    texts = [question.text for question in read_questions(tmp_path / "questions" / "questions.train.parquet")]
    assert sorted(texts) == ["Loading old objects", "Saving the workspace"]
    assert read_left_out(tmp_path / "pool")[f"book#{HOSTILE}"] == "failed"


def test_a_page_that_takes_too_long_is_left_out(corpus: Path) -> None:
    found, problems = read(corpus / "unsuspected", 0.8)
    assert problems == [(f"book#{HOSTILE}", "is not asked for questions: no result within 0.8 s")]
    assert found is not None
    assert {question.text for question in found.questions} == {"Saving the workspace", "Loading old objects"}
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("number", [0, HOSTILE])
def test_a_document_that_is_given_up_leaves_the_others(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    message = bounded_reading._Message(page_number=number, failure="the PDF reader crashed (exit code -9)")
    monkeypatch.setattr(bounded_reading, "_attempt", lambda *_: message)
    found, problems = read(corpus / "pages", 1)
    where = f" at page {number}" if number else ""
    assert found is None
    assert problems[-1] == (
        "book.pdf",
        "is not asked for questions, and left out of the pool: the PDF reader crashed (exit code -9)" + where,
    )
    with pytest.raises(InputError, match="no question is left"):
        build_questions(corpus / "pages", tmp_path / "pool", tmp_path / "questions", BuildOptions())


def test_what_a_process_cannot_open_or_does_not_survive_is_told(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "none.pdf").write_bytes(b"%PDF-1.4 nothing")
    pages: list[Page] = load_pages(corpus / "pages")
    with pytest.raises(InputError, match=r"none\.pdf: .*; put the PDF back or run drag ingest again"):
        read_bounded(tmp_path / "none.pdf", pages, SentenceOptions(), 0)
    os.mkfifo(tmp_path / "pipe.pdf")
    found, problems = read_bounded(tmp_path / "pipe.pdf", pages, SentenceOptions(), 0, page_timeout_s=0.3)
    assert found is None and "no result within 0.3" in problems[-1].reason
