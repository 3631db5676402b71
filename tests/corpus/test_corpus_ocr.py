"""Text by OCR: from a file of lines, or by Tesseract from scanned pages."""

from __future__ import annotations

import json
import shutil
import subprocess

import image_files
import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drag_rl.corpus.image_documents import read_image_document
from drag_rl.corpus.image_sources import find_image_sources
from drag_rl.corpus.ocr_file import read_ocr_file
from drag_rl.corpus.pdf_pages import NO_TESSERACT, read_document
from drag_rl.corpus.recognition import plain_chars
from drag_rl.corpus.sources import find_sources
from drag_rl.corpus.tesseract import read_options
from drag_rl.errors import InputError


def read(tmp_path, *rows):
    path = tmp_path / "ocr_output.jsonl"
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    pages, problems = read_ocr_file(path, "00")
    return {page.page_id: page.text for page in pages}, [f"{item.where} {item.reason}" for item in problems]


@pytest.mark.parametrize(
    "row",
    [
        {"file": "specs/a.pdf", "page": 2, "text": "t"},
        {"pdf": "./specs/a.pdf", "page_number": "2", "content": "t"},
        {"document": "specs\\a.pdf.gz", "page": 2.0, "ocr": "t\x00"},
        {"doc_id": "/specs/a", "page_num": 2, "markdown": " t "},
        {"file": "specs/a.pdf", "pages": [{"page": 2, "text": "t"}]},
    ],
)
def test_the_names_that_ocr_tools_use_are_understood(tmp_path, row):
    assert read(tmp_path, row) == ({"specs/a#2": "t"}, [])


def test_a_whole_document_on_a_line(tmp_path):
    found = read(tmp_path, {"file": "a.pdf", "pages": ["one", {"text": "two"}, {"page": 9, "text": "nine"}]})
    assert found == ({"a#1": "one", "a#2": "two", "a#9": "nine"}, [])


def test_pages_are_sorted_and_a_page_without_text_is_kept(tmp_path):
    pages, _ = read(
        tmp_path,
        b'\xef\xbb\xbf{"file": "b.pdf", "page": 10, "text": null}',
        {"file": "b.pdf", "page": 9, "text": "x\ud800"},
        b"",
        {"file": "a.pdf", "page": 1, "text": "y"},
    )
    assert list(pages.items()) == [("a#1", "y"), ("b#9", "x"), ("b#10", "")]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"nonsense", "line 2 is not JSON"),
        (b"\xff\xfe", "line 2 is not UTF-8"),
        (b"[" * 100_000, "line 2 is not JSON"),
        (
            b'{"file": "a.pdf", "text": "t", "page": ' + b"9" * 5000 + b"}",
            "line 2 holds a number of thousands",
        ),
        (b'{"file": "a.pdf", "text": "t", "page": 1e999}', "line 2 has no page number"),
        ({"file": "a.pdf", "text": "t", "page": "9" * 5000}, "line 2 has no page number"),
        ({"file": "a.pdf", "text": "t", "page": 10**4000}, "line 2 has no page number"),
        ({"file": "/.pdf", "page": 1, "text": "t"}, "line 2 names no document"),
        ([1], "line 2 is not a JSON object"),
        ({"page": 1, "text": "t"}, "line 2 names no document"),
        ({"file": "a.pdf", "text": "t"}, "line 2 has no page number"),
        ({"file": "a.pdf", "page": 0, "text": "t"}, "line 2 has no page number from 1 on"),
        ({"file": "a.pdf", "page": True, "text": "t"}, "line 2 has no page number"),
        ({"file": "a.pdf", "page": 2}, "line 2 has no text"),
        ({"file": "a.pdf", "pages": "x"}, "line 2 'pages' is not a list"),
        ({"file": "a.pdf", "pages": [3]}, "line 2 entry 1 of 'pages' is neither"),
        ({"file": "good.pdf", "page": 1, "text": "again"}, "line 2 page good#1 stands in the file twice"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path, row, problem):
    pages, problems = read(tmp_path, {"file": "good.pdf", "page": 1, "text": "g"}, row)
    assert pages == {"good#1": "g"}
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_label_of_lists_is_none(tmp_path):
    row = {"file": "a.pdf", "page": 1, "text": "t"}
    deep = json.dumps(row)[:-1].encode() + b', "label": ' + b"[" * 900 + b"]" * 900 + b"}"
    assert read(tmp_path, deep) == ({"a#1": "t"}, [])


@pytest.mark.parametrize("content", [b"", b"nonsense\n"])
def test_a_file_without_any_page_is_an_error(tmp_path, content):
    path = tmp_path / "ocr.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"ocr\.jsonl: not one page can be read"):
        read_ocr_file(path, "00")


def tessdata(folder):
    """Tesseract's English, installed or from its Debian package."""
    try:
        return pymupdf.get_tessdata()
    except RuntimeError:
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            pytest.skip("neither Tesseract nor apt-get is there")
    subprocess.run(["apt-get", "download", "tesseract-ocr-eng"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "package"], check=True)
    (data,) = folder.rglob("eng.traineddata")
    return str(data.parent)


@pytest.mark.slow
def test_scanned_pages_are_recognised(tmp_path, make_pdf, monkeypatch):
    monkeypatch.setenv("TESSDATA_PREFIX", tessdata(tmp_path))
    written = "The rotor brake must be released before the engine is started."
    folder = tmp_path / "pdfs"
    folder.mkdir()
    with pymupdf.open(stream=make_pdf([written]), filetype="pdf") as source, pymupdf.open() as scan:
        page = scan.new_page(width=400, height=300)
        page.insert_image(page.rect, pixmap=source[0].get_pixmap(dpi=200))
        scan.new_page(width=400, height=300)
        page = scan.new_page(width=400, height=300)
        page.insert_text((40, 40), "A real text layer")
        scan.save(folder / "scan.pdf")
    (source,), _ = find_sources(folder)
    scanned, blank, layered = read_document(folder, source, read_options("auto")).pages
    assert (scanned.text_source, scanned.text.replace("\n", " ")) == ("ocr", written)
    assert (blank.text_source, blank.reason) == ("none", "blank page")
    assert (layered.text_source, layered.text) == ("pdf", "A real text layer")
    forced = read_document(folder, source, read_options("force")).pages
    assert [page.text_source for page in forced] == ["ocr", "none", "ocr"]
    off = read_document(folder, source, read_options("off")).pages[0]
    assert (off.text, off.reason) == ("", "no legible text layer")
    assert off.reason != NO_TESSERACT


@pytest.mark.slow
@pytest.mark.parametrize("dpi", [90, 200])
def test_images_of_pages_are_recognised_where_no_text_is_beside_them(tmp_path, make_pdf, monkeypatch, dpi):
    monkeypatch.setenv("TESSDATA_PREFIX", tessdata(tmp_path))
    written = "The rotor brake must be released before the engine is started."
    folder = tmp_path / "scans" / "deck"
    folder.mkdir(parents=True)
    with pymupdf.open(stream=make_pdf([written]), filetype="pdf") as source:
        for name in ("1.png", "2.png"):
            source[0].get_pixmap(dpi=dpi).save(folder / name)
    (folder / "2.txt").write_text("Its own words")
    image_files.page().save(folder / "3.png")
    (source,), _ = find_image_sources(tmp_path / "scans")
    pages = read_image_document(tmp_path / "scans", source, read_options("auto")).pages
    assert [page.text.replace("\n", " ") for page in pages] == [written, "Its own words", ""]
    assert pages[2].reason == "OCR found no text"
    forced = read_image_document(tmp_path / "scans", source, read_options("force")).pages
    assert forced[1].text.replace("\n", " ") == written


MANUAL = [
    "The rotor brake must be released before the engine is started.",
    "Check the oil level of the gearbox every fifty hours of flight.",
    "Replace the filter when the warning lamp stays on for a minute.",
]


def scan_of(lines):
    """A scanned page, upright."""
    with pymupdf.open() as document:
        page = document.new_page(width=420, height=160)
        for number, line in enumerate(lines):
            page.insert_text((20, 40 + 30 * number), line)
        pixmap = page.get_pixmap(dpi=200)
    return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)


@pytest.mark.slow
def test_pages_are_recognised_whichever_way_up_they_were_scanned(tmp_path, monkeypatch):
    monkeypatch.setenv("TESSDATA_PREFIX", tessdata(tmp_path))
    folder = tmp_path / "scans" / "turned"
    folder.mkdir(parents=True)
    (tmp_path / "pdfs").mkdir()
    scan = scan_of(MANUAL)
    with pymupdf.open() as document:
        scan.rotate(270, expand=True).save(folder / "1.png")
        for turn, shown in ((90, 90), (90, 0), (180, 0)):  # what a scanner says of the page, rightly or not
            scan.rotate(turn, expand=True).save(tmp_path / "turned.png")
            width, height = scan.size if turn == 180 else scan.size[::-1]
            page = document.new_page(width=width * 72 / 200, height=height * 72 / 200)
            page.insert_image(page.rect, filename=tmp_path / "turned.png")
            page.set_rotation(shown)
        document.save(tmp_path / "pdfs/scan.pdf")
    (source,), _ = find_sources(tmp_path / "pdfs")
    pages = read_document(tmp_path / "pdfs", source, read_options("auto")).pages
    (source,), _ = find_image_sources(tmp_path / "scans")
    pages += read_image_document(tmp_path / "scans", source, read_options("auto")).pages
    assert [page.text.splitlines() for page in pages] == [MANUAL] * 4


@given(st.text(max_size=60))
def test_plain_characters_are_some_of_those_that_are_there(text):
    assert 0 <= plain_chars(text) <= sum(map(len, text.split()))
