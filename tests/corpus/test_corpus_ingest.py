"""Stories of ``drag ingest``: interrupted, repeated, moved, with pages that stall or kill the reader."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pymupdf
import pytest

from drag_rl.corpus.ingest import PARTS_FOLDER, ingest_pdfs
from drag_rl.corpus.pages import PAGES_FILE, fingerprint_of, load_pages, pdf_dir_of
from drag_rl.corpus.parts import Parts
from drag_rl.corpus.pdf_pages import ReadOptions, read_document
from drag_rl.corpus.sources import Source, find_sources
from drag_rl.corpus.tesseract import read_options
from drag_rl.corpus.worker_pool import read_documents
from drag_rl.errors import InputError
from drag_rl.manifest import manifest_path, read_manifest


def with_nested_drawings(data: bytes, page_number: int, depth: int) -> bytes:
    """Make a page draw 10 ** depth times nothing: a few hundred bytes that keep any reader busy."""
    with pymupdf.open(stream=data, filetype="pdf") as document:
        inner = None
        for level in range(depth + 1):
            xref = document.get_new_xref()
            names = f"/Resources<</XObject<</F {inner} 0 R>>>>" if inner else ""
            document.update_object(xref, f"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]{names}>>")
            document.update_stream(xref, b"/F Do " * 10 if level else b"q Q")
            inner = xref
        page = document[page_number - 1]
        document.xref_set_key(page.xref, "Resources", f"<</XObject<</F {inner} 0 R>>>>")
        stream = document.get_new_xref()
        document.update_object(stream, "<<>>")
        document.update_stream(stream, b"/F Do")
        document.xref_set_key(page.xref, "Contents", f"{stream} 0 R")
        return document.tobytes()


def read_all(pdf_dir: Path, folder: Path, timeout_s: float, on_progress=lambda _progress: None):
    parts = Parts(folder / "parts", ReadOptions())
    sources, _ = find_sources(pdf_dir)
    for progress in read_documents(pdf_dir, sources, parts, workers=1, page_timeout_s=timeout_s):
        on_progress(progress)
    return {source.doc_id: parts.load(source) for source in sources}


def test_pages_know_where_they_come_from(pdf_dir, tmp_path):
    done = ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions())
    pages = load_pages(tmp_path / "pages")
    assert [page.page_id for page in pages] == [
        *(f"engine#{number}" for number in (1, 2, 3)),
        *(f"manuals/rotor#{number}" for number in (1, 2)),
    ]
    first = pages[0]
    assert first.text == "Starting the engine\nTurn the key."
    assert (first.width_pt, first.height_pt, first.label) == (400, 300, "")
    assert (first.text_source, first.status, first.reason) == ("pdf", "ok", "")
    assert first.source_file == "engine.pdf"
    assert done.manifest.fingerprint == fingerprint_of(pages)
    assert done.manifest.counts == {
        "documents": 2, "documents_failed": 0, "documents_given_up": 0, "pages": 5, "pages_failed": 0,
        "pages_ocr": 0, "pages_without_text": 0, "problems": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", [".ready-to-publish", ".unfinished.0123456789ab.new", ".pdfs.0123456789ab.old"]
)
def test_what_a_kill_has_left_aside_is_no_document(pdf_dir, name):
    (pdf_dir / name).mkdir()
    shutil.copy(pdf_dir / "engine.pdf", pdf_dir / name)
    (pdf_dir / ".own").mkdir()
    shutil.copy(pdf_dir / "engine.pdf", pdf_dir / ".own")
    assert [source.doc_id for source in find_sources(pdf_dir)[0]] == [
        ".own/engine",
        "engine",
        "manuals/rotor",
    ]


def test_the_result_depends_on_the_files_alone(pdf_dir, tmp_path):
    one = ingest_pdfs(pdf_dir, tmp_path / "one", ReadOptions(), workers=1)
    moved = tmp_path / "elsewhere" / "corpus"
    shutil.copytree(pdf_dir, moved)
    two = ingest_pdfs(moved, tmp_path / "two", ReadOptions(), workers=2)
    assert (tmp_path / "one" / PAGES_FILE).read_bytes() == (tmp_path / "two" / PAGES_FILE).read_bytes()
    assert one.manifest.fingerprint == two.manifest.fingerprint
    assert one.manifest.inputs == two.manifest.inputs


def test_only_what_is_new_is_read(pdf_dir, tmp_path, make_pdf):
    pages_dir = tmp_path / "pages"
    assert ingest_pdfs(pdf_dir, pages_dir, ReadOptions()).documents_read == 2
    again = ingest_pdfs(pdf_dir, pages_dir, ReadOptions())
    assert (again.up_to_date, again.documents_read) == (True, 0)

    (pdf_dir / "engine.pdf").write_bytes(make_pdf(["A new engine"]))
    assert ingest_pdfs(pdf_dir, pages_dir, ReadOptions()).documents_read == 1
    assert [page.text for page in load_pages(pages_dir)] == ["A new engine", "Rotor blades", "Rotor brake"]
    parts = pages_dir / PARTS_FOLDER
    assert len(list(parts.iterdir())) == 2

    (parts / "notes.txt").write_text("mine")
    (parts / f".{'0' * 64}.json.0123456789ab.tmp").touch()  # of a killed run
    (pdf_dir / "engine.pdf").unlink()
    assert ingest_pdfs(pdf_dir, pages_dir, ReadOptions()).documents_read == 0
    assert [page.doc_id for page in load_pages(pages_dir)] == ["manuals/rotor", "manuals/rotor"]
    assert len(list(parts.iterdir())) == 2 and (parts / "notes.txt").exists()

    assert ingest_pdfs(pdf_dir, pages_dir, ReadOptions(ocr="off")).documents_read == 1


@pytest.mark.parametrize("damage", ["pages", "part"])
def test_a_damaged_result_is_made_again(pdf_dir, tmp_path, damage):
    pages_dir = tmp_path / "pages"
    ingest_pdfs(pdf_dir, pages_dir, ReadOptions())
    whole = (pages_dir / PAGES_FILE).read_bytes()
    if damage == "pages":
        (pages_dir / PAGES_FILE).write_bytes(whole[:-50])
    else:
        (pages_dir / PAGES_FILE).unlink()
        next((pages_dir / PARTS_FOLDER).iterdir()).write_text('{"pages": [{}]}')
    done = ingest_pdfs(pdf_dir, pages_dir, ReadOptions())
    assert not done.up_to_date
    assert done.documents_read == (1 if damage == "part" else 0)
    assert (pages_dir / PAGES_FILE).read_bytes() == whole


@pytest.mark.parametrize("manifest", ["", None, '{"name": "my web site"}'])
def test_pages_without_a_manifest_that_says_who_made_them_are_left_alone(pdf_dir, tmp_path, manifest):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / PAGES_FILE).write_text("by hand")
    if manifest is not None:
        manifest_path(tmp_path / "mine").write_text(manifest)
    before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    with pytest.raises(InputError, match="give another --out"):
        ingest_pdfs(pdf_dir, tmp_path / "mine", ReadOptions())
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before


@pytest.mark.slow  # a page that takes a second, read three times
def test_a_killed_run_goes_on_where_it_was(pdf_dir, tmp_path, make_pdf):
    (pdf_dir / "zz-slow.pdf").write_bytes(with_nested_drawings(make_pdf(["Before", "Slow", "After"]), 2, 5))
    undisturbed = ingest_pdfs(pdf_dir, tmp_path / "undisturbed", ReadOptions())
    pages_dir = tmp_path / "killed"
    command = [sys.executable, "-m", "drag_rl.cli.main", "ingest", "--workers", "1"]
    run = subprocess.Popen(
        [*command, "--pdf-dir", pdf_dir, "--out", pages_dir],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    while run.poll() is None and not list(pages_dir.glob(f"{PARTS_FOLDER}/*.json")):
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    with pytest.raises(InputError, match="unfinished"):
        load_pages(pages_dir)

    resumed = ingest_pdfs(pdf_dir, pages_dir, ReadOptions())
    assert resumed.documents_read < undisturbed.documents_read
    assert resumed.manifest.fingerprint == undisturbed.manifest.fingerprint
    assert (pages_dir / PAGES_FILE).read_bytes() == (tmp_path / "undisturbed" / PAGES_FILE).read_bytes()


def test_a_page_that_stalls_the_reader_is_left_out(pdf_dir, tmp_path, make_pdf):
    (pdf_dir / "bomb.pdf").write_bytes(with_nested_drawings(make_pdf(["Before", "Bomb", "After"]), 2, 12))
    results = read_all(pdf_dir, tmp_path, timeout_s=2)
    bomb = results["bomb"]
    assert [page.text for page in bomb.pages] == ["Before", "", "After"]
    assert (bomb.pages[1].status, bomb.pages[1].reason) == ("failed", "no result within 2 s")
    assert [problem.where for problem in bomb.problems] == ["bomb#2"]
    assert bomb.given_up
    assert [len(results[name].pages) for name in ("engine", "manuals/rotor")] == [3, 2]


def test_a_page_that_kills_the_reader_is_left_out(pdf_dir, tmp_path, make_pdf):
    (pdf_dir / "bomb.pdf").write_bytes(with_nested_drawings(make_pdf(["Before", "Bomb", "After"]), 2, 12))

    def kill(progress):
        if progress.source.doc_id == "bomb" and progress.page_number == 2 and not killed:
            killed.extend(child.pid for child in multiprocessing.active_children())
            os.kill(killed[0], signal.SIGKILL)

    killed: list[int] = []
    bomb = read_all(pdf_dir, tmp_path, 60, kill)["bomb"]
    assert bomb.pages[1].reason == "the PDF reader crashed (exit code -9)"
    assert [page.status for page in bomb.pages] == ["ok", "failed", "ok"]
    assert not multiprocessing.active_children()


def test_a_document_that_cannot_even_be_opened_in_time_is_given_up(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdf")
    parts = Parts(tmp_path / "parts", ReadOptions())
    source = Source("pipe", "pipe.pdf", "00")
    assert [step.done for step in read_documents(tmp_path, [source], parts, 1, page_timeout_s=0.5)][-1]
    (problem,) = parts.load(source).problems
    assert problem.reason == "no result within 0.5 s while it was opened"


def test_what_cannot_be_kept_ends_the_run_with_one_line(pdf_dir, tmp_path):
    (tmp_path / "file").touch()
    parts = Parts(tmp_path / "file" / "parts", ReadOptions())  # cannot be written, as on a full disk
    sources, _ = find_sources(pdf_dir)
    with pytest.raises(InputError, match=r"file/parts: cannot be written \(.*\); make room there"):
        list(read_documents(pdf_dir, sources, parts, workers=2))


def test_what_tesseract_writes_by_itself_is_not_the_users(make_pdf, tmp_path):
    """A language file that is none makes it write four lines of its own for every page."""
    (tmp_path / "tessdata").mkdir()
    (tmp_path / "tessdata" / "eng.traineddata").write_bytes(b"no language")
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "pdfs" / "scan.pdf").write_bytes(make_pdf(["Turn the key."] * 3))
    options = [
        "--pdf-dir",
        tmp_path / "pdfs",
        "--out",
        tmp_path / "pages",
        "--ocr",
        "force",
        "--workers",
        "1",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "drag_rl.cli.main", "ingest", *options],
        env=os.environ | {"TESSDATA_PREFIX": str(tmp_path / "tessdata")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "scan#1: cannot be read" in done.stderr


def test_a_document_that_changes_meanwhile_is_not_mixed(pdf_dir):
    source = Source("engine", "engine.pdf", "00")
    (problem,) = read_document(pdf_dir, source, ReadOptions()).problems
    assert "changed while" in problem.reason


def test_labels_are_the_printed_ones(tmp_path, make_pdf):
    with pymupdf.open(stream=make_pdf(list("abcdef")), filetype="pdf") as document:
        document.set_page_labels(
            [
                {"startpage": 0, "prefix": "", "style": "r", "firstpagenum": 1},
                {"startpage": 2, "prefix": "A-", "style": "D", "firstpagenum": 7},
                {"startpage": 4, "prefix": "", "style": "A", "firstpagenum": 1},
            ]
        )
        document.save(tmp_path / "labels.pdf")
        expected = [page.get_label() for page in document]
    (source,), _ = find_sources(tmp_path)
    labels = [page.label for page in read_document(tmp_path, source, ReadOptions()).pages]
    assert labels == expected == ["i", "ii", "A-7", "A-8", "A", "B"]


def test_a_turned_page_is_read_as_it_is_shown(tmp_path, make_pdf):
    with pymupdf.open(stream=make_pdf([""]), filetype="pdf") as document:
        page = document[0]
        for number in range(4):
            page.insert_text((60 + 20 * number, 250), f"line {number}", rotate=90)
        page.set_rotation(90)
        document.save(tmp_path / "turned.pdf")
    (source,), _ = find_sources(tmp_path)
    (page,) = read_document(tmp_path, source, ReadOptions()).pages
    assert page.text == "line 0\nline 1\nline 2\nline 3"
    assert (page.width_pt, page.height_pt) == (300, 400)


def test_pages_that_do_not_match_their_manifest_are_refused(pdf_dir, tmp_path):
    ingest_pdfs(pdf_dir, tmp_path / "one", ReadOptions())
    (pdf_dir / "engine.pdf").unlink()
    ingest_pdfs(pdf_dir, tmp_path / "two", ReadOptions())
    shutil.copy(tmp_path / "one" / PAGES_FILE, tmp_path / "two" / PAGES_FILE)
    with pytest.raises(InputError, match="does not match its manifest"):
        load_pages(tmp_path / "two")


def test_pdfs_are_found_again_when_both_folders_move(tmp_path, make_pdf):
    (tmp_path / "data" / "pdfs").mkdir(parents=True)
    (tmp_path / "data" / "pdfs" / "a.pdf").write_bytes(make_pdf(["a"]))
    ingest_pdfs(tmp_path / "data" / "pdfs", tmp_path / "data" / "pages", ReadOptions())
    (tmp_path / "data").rename(tmp_path / "moved")
    found = pdf_dir_of(tmp_path / "moved" / "pages", read_manifest(tmp_path / "moved" / "pages"))
    assert found is not None
    assert found.resolve() == tmp_path / "moved" / "pdfs"


def test_a_language_that_is_not_installed_is_named(tmp_path, monkeypatch):
    (tmp_path / "eng.traineddata").write_bytes(b"data")
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    options = read_options("auto", "eng")
    assert (options.tessdata, len(options.tessdata_sha256)) == (str(tmp_path), 64)
    with pytest.raises(InputError, match=r"--ocr-language ../deu: not installed .*\(there are: eng\)"):
        read_options("auto", "eng+../deu")
    assert read_options("off", "xyz").tessdata == ""
