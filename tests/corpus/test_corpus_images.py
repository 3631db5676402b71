"""Page images: rendered once, whole, within the pixel budget, without what is redacted."""

from __future__ import annotations

import gzip
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymupdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from drag_rl.corpus.images import PageImages
from drag_rl.corpus.ingest import ingest_ocr_file, ingest_pdfs
from drag_rl.corpus.pdf_pages import ReadOptions
from drag_rl.corpus.redactions import REDACTIONS_FILE, read_redactions, write_redactions
from drag_rl.corpus.render_request import fitting_scale
from drag_rl.errors import InputError


@pytest.fixture
def pages_dir(pdf_dir, tmp_path, make_pdf):
    (pdf_dir / "packed.pdf.gz").write_bytes(gzip.compress(make_pdf(["A packed page"])))
    with pymupdf.open(stream=make_pdf(["A turned page"]), filetype="pdf") as document:
        document[0].set_rotation(90)
        document.save(pdf_dir / "turned.pdf")
    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions())
    return tmp_path / "pages"


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


def darkest(image: Image.Image) -> int:
    return image.convert("L").getextrema()[0]


@pytest.mark.parametrize("page_id", ["engine#1", "packed#1", "turned#1", "manuals/rotor#2"])
def test_an_image_shows_the_page_and_is_kept(pages_dir, page_id):
    images = PageImages(pages_dir)
    image = images.load(page_id)
    assert (image.mode, image.size) == ("RGB", images.size(page_id))
    assert darkest(image) < 100
    assert files_in(pages_dir / "images") == [images.path(page_id)]


def test_the_corpus_resolution_is_used_up_to_the_pixel_budget(pages_dir):
    assert PageImages(pages_dir).size("engine#1") == (534, 400)
    small = PageImages(pages_dir, max_pixels=5000)
    width, height = small.load("engine#1").size
    assert 4500 < width * height <= 5000
    assert small.path("engine#1") != PageImages(pages_dir).path("engine#1")


@given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6), st.integers(18, 600), st.integers(1, 1 << 22))
def test_no_page_has_more_pixels_than_the_budget(width_pt, height_pt, dpi, max_pixels):
    scale = fitting_scale(width_pt, height_pt, dpi, max_pixels)
    assert 0 < scale <= dpi / 72
    width, height = max(1, width_pt * scale), max(1, height_pt * scale)
    assert int(width) * int(height) <= max_pixels


def test_threads_that_ask_at_once_get_one_image(pages_dir):
    images = PageImages(pages_dir)
    start = threading.Barrier(8)

    def ask(number):
        start.wait()
        return images.load(f"engine#{number % 3 + 1}").size

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {(534, 400)}
    assert len(files_in(pages_dir / "images")) == 3


def ask_in_a_process(pages_dir: Path, answers) -> None:
    path = PageImages(pages_dir).path("engine#1")
    answers.put((str(path), path.stat().st_ino))


def test_processes_that_ask_at_once_get_one_image(pages_dir):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    processes = [context.Process(target=ask_in_a_process, args=(pages_dir, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    found = {answers.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(found) == 1
    assert Image.open(files_in(pages_dir / "images")[0]).size == (534, 400)


def test_a_damaged_image_is_rendered_again(pages_dir):
    images = PageImages(pages_dir)
    whole = images.load("engine#1")
    images.path("engine#1").write_bytes(images.path("engine#1").read_bytes()[:100])
    assert ImageChops.difference(images.load("engine#1"), whole).getbbox() is None


@pytest.mark.parametrize("page_id", ["engine#1", "turned#1"])
def test_what_is_redacted_is_not_visible(pages_dir, page_id):
    before = PageImages(pages_dir)
    assert darkest(before.load(page_id)) < 100
    name = "engine.pdf" if page_id == "engine#1" else "turned.pdf"
    with pymupdf.open(pages_dir.parent / "pdfs" / name) as document:
        blocks = [block["bbox"] for block in document[0].get_text("dict")["blocks"]]
    write_redactions(pages_dir, {page_id: blocks, "engine#2": [(0, 0, 10, 10)], "engine#3": []})
    after = PageImages(pages_dir)
    assert darkest(after.load(page_id)) == 255
    assert after.path(page_id) != before.path(page_id)
    assert after.path("engine#3") == before.path("engine#3")
    assert set(read_redactions(pages_dir)) == {page_id, "engine#2"}


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "{}",
        '{"page_id": "a#1", "boxes": [[1, 2, 3]]}',
        '{"page_id": "a#1", "boxes": [[3, 0, 1, 9]]}',
    ],
)
def test_a_damaged_redactions_file_is_refused(pages_dir, line):
    (pages_dir / REDACTIONS_FILE).write_text('{"page_id": "engine#1", "boxes": []}\n' + line + "\n")
    with pytest.raises(InputError, match=r"redactions\.jsonl line 2"):
        PageImages(pages_dir)


def test_a_pdf_that_has_changed_or_gone_is_named(pages_dir, pdf_dir, make_pdf):
    (pdf_dir / "engine.pdf").write_bytes(make_pdf(["Another engine"] * 3))
    (pdf_dir / "packed.pdf.gz").unlink()
    images = PageImages(pages_dir)
    with pytest.raises(InputError, match=r"engine\.pdf: has changed since it was ingested"):
        images.path("engine#1")
    with pytest.raises(InputError, match=r"packed\.pdf\.gz: No such file"):
        images.path("packed#1")
    with pytest.raises(InputError, match="has no page engine#9"):
        images.path("engine#9")


def test_a_folder_of_pdfs_that_moved_can_be_given(pages_dir, pdf_dir, tmp_path):
    pdf_dir.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"its PDF folder .*pdfs is gone"):
        PageImages(pages_dir)
    assert darkest(PageImages(pages_dir, pdf_dir=tmp_path / "elsewhere").load("engine#1")) < 100


def test_an_ocr_file_has_no_images(tmp_path):
    (tmp_path / "ocr.jsonl").write_text('{"file": "a.pdf", "page": 1, "text": "a"}\n')
    ingest_ocr_file(tmp_path / "ocr.jsonl", tmp_path / "pages")
    with pytest.raises(InputError, match="made from an OCR file, so it has no page images"):
        PageImages(tmp_path / "pages")
