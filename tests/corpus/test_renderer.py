"""Pages that ask for endless time or memory get a named error, and everybody else goes on."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import hostile_pdfs
import pymupdf
import pytest
from PIL import Image

from drag_rl.corpus.images import MAX_STALLS, PageImages
from drag_rl.corpus.pages import write_pages
from drag_rl.corpus.render_request import Request
from drag_rl.corpus.renderer import PageRenderError, Renderer, RenderLimits
from drag_rl.errors import InputError
from drag_rl.files.manifest import sha256_file
from drag_rl.types import Page

HOSTILE = ("nested_patterns", "nested_forms", "nested_glyphs", "many_strokes")


@pytest.fixture(scope="module")
def renderer():
    """One for the whole module: a worker takes a moment to start."""
    one = Renderer(RenderLimits(cpu_s=0.2))
    yield one
    one.stop()


@pytest.fixture
def pages_dir(tmp_path, make_pdf):
    """``sound`` has two pages, ``hostile`` one more than are given up one by one."""
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "pdfs" / "sound.pdf").write_bytes(make_pdf(["One page", "Another"]))
    with pymupdf.open(stream=hostile_pdfs.nested_patterns(), filetype="pdf") as document:
        for _ in range(MAX_STALLS):
            document.fullcopy_page(0)
        document.save(tmp_path / "pdfs" / "hostile.pdf")
    counts = {"hostile": MAX_STALLS + 1, "sound": 2}
    pages = [page(tmp_path / "pdfs", name, number + 1) for name in counts for number in range(counts[name])]
    write_pages(tmp_path / "pages", pages, stage="ingest", pdf_dir=tmp_path / "pdfs")
    return tmp_path / "pages"


def page(pdf_dir: Path, name: str, number: int) -> Page:
    return Page(
        page_id=f"{name}#{number}",
        doc_id=name,
        page_number=number,
        label="",
        text="words",
        width_pt=400,
        height_pt=300,
        source_file=f"{name}.pdf",
        source_sha256=sha256_file(pdf_dir / f"{name}.pdf"),
        text_source="pdf",
        status="ok",
        reason="",
    )


def request(pdf: Path, target: Path) -> Request:
    look = {"page_number": 1, "dpi": 72, "max_pixels": 1 << 20, "boxes": ()}
    return Request(file=str(pdf), sha256=sha256_file(pdf), target=str(target), **look)


@pytest.mark.parametrize("name", HOSTILE)
def test_endless_work_is_a_named_error_and_the_next_page_is_rendered(renderer, tmp_path, make_pdf, name):
    (tmp_path / "hostile.pdf").write_bytes(getattr(hostile_pdfs, name)())
    (tmp_path / "sound.pdf").write_bytes(make_pdf(["Sound"]))
    with pytest.raises(PageRenderError, match=r"needs more than 0\.2 s of processor time") as failed:
        renderer.render(request(tmp_path / "hostile.pdf", tmp_path / "hostile.png"))
    assert failed.value.lasting, "the page is to blame, not the machine"
    assert not (tmp_path / "hostile.png").exists()
    renderer.render(request(tmp_path / "sound.pdf", tmp_path / "sound.png"))
    with Image.open(tmp_path / "sound.png") as image:
        assert image.size == (400, 300)


def test_endless_memory_is_a_named_error_and_the_worker_lives(tmp_path, make_pdf):
    (tmp_path / "hostile.pdf").write_bytes(hostile_pdfs.many_strokes())
    (tmp_path / "sound.pdf").write_bytes(make_pdf(["Sound"]))
    renderer = Renderer(RenderLimits(memory_bytes=20 << 20))
    with pytest.raises(PageRenderError, match=r"alloc \(\d+ bytes\) failed") as failed:
        renderer.render(request(tmp_path / "hostile.pdf", tmp_path / "hostile.png"))
    assert failed.value.lasting and not failed.value.stalled
    renderer.render(request(tmp_path / "sound.pdf", tmp_path / "sound.png"))
    renderer.stop()


def test_other_threads_go_on_while_a_page_is_rendered(renderer, tmp_path):
    """MuPDF holds Python's lock: in this process an event loop would stand still."""
    (tmp_path / "hostile.pdf").write_bytes(hostile_pdfs.nested_forms())
    beats, done = [], threading.Event()

    def beat():
        while not done.wait(0.005):
            beats.append(time.monotonic())

    heart = threading.Thread(target=beat)
    heart.start()
    with pytest.raises(PageRenderError):
        renderer.render(request(tmp_path / "hostile.pdf", tmp_path / "hostile.png"))
    done.set()
    heart.join()
    assert len(beats) > 10


def test_a_worker_that_somebody_kills_is_replaced_and_no_page_is_blamed(renderer, tmp_path, make_pdf):
    (tmp_path / "sound.pdf").write_bytes(make_pdf(["Sound"]))
    for number in range(2):
        renderer.render(request(tmp_path / "sound.pdf", tmp_path / f"{number}.png"))
        os.kill(renderer._worker.process.pid, signal.SIGKILL)
        if number == 0:
            renderer._worker.process.wait()
    assert (tmp_path / "1.png").exists()


def test_a_worker_that_waits_is_given_up_by_the_clock(tmp_path, make_pdf):
    (tmp_path / "sound.pdf").write_bytes(make_pdf(["Sound"]))
    renderer = Renderer(RenderLimits(wall_s=0.05))
    renderer._living()
    os.kill(renderer._worker.process.pid, signal.SIGSTOP)
    with pytest.raises(PageRenderError, match=r"no result within 0\.05 s") as failed:
        renderer.render(request(tmp_path / "sound.pdf", tmp_path / "a.png"))
    assert failed.value.stalled and not failed.value.lasting
    assert renderer._worker is None


@pytest.mark.parametrize("said", [b"", b"null", b"[1]", b'{"action": "rm"}', b"x" * (1 << 17)])
def test_a_worker_that_is_taken_over_can_say_nothing_that_acts(tmp_path, make_pdf, monkeypatch, said):
    (tmp_path / "sound.pdf").write_bytes(make_pdf(["Sound"]))
    renderer = Renderer(RenderLimits(wall_s=5))
    process = subprocess.Popen(["sleep", "60"])
    ours, theirs = multiprocessing.Pipe()
    renderer._worker = type("Worker", (), {"process": process, "pipe": ours})
    threading.Thread(target=theirs.send_bytes, args=(said,), daemon=True).start()
    monkeypatch.setattr("drag_rl.corpus.renderer.EXIT_TIMEOUT_S", 0.05)
    with pytest.raises(PageRenderError, match=r"invalid reply|crashed") as failed:
        renderer.render(request(tmp_path / "sound.pdf", tmp_path / "a.png"))
    assert failed.value.stalled and not failed.value.lasting
    assert process.returncode == -signal.SIGKILL


def test_a_forked_process_does_not_use_its_parents_worker(renderer):
    renderer._living()
    child = os.fork()
    if child == 0:
        os._exit(0 if renderer._worker is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert renderer._worker is not None


class NoRenderer(Renderer):
    """Must not be asked."""

    def render(self, request):
        raise AssertionError(request)


def test_a_hostile_page_is_tried_once_and_a_blank_one_is_shown_in_its_place(renderer, pages_dir, caplog):
    images = PageImages(pages_dir, renderer=renderer)
    with pytest.raises(PageRenderError, match=r"page hostile#1: cannot be rendered \(needs more than 0\.2 s"):
        images.load("hostile#1")
    # Neither this process nor the next one tries again.
    for again in (images, PageImages(pages_dir, renderer=NoRenderer())):
        again._renderer = NoRenderer()
        with pytest.raises(PageRenderError, match=r"hostile#1: cannot be rendered \(needs more than 0\.2 s"):
            again.path("hostile#1")
        with caplog.at_level(logging.WARNING):
            shown = again.shown("hostile#1")
        assert shown.size == again.size("hostile#1")
        assert 0 < sum(shown.convert("L").histogram()[:128]) < 2000, "a blank page with a line of text"
        with Image.open(again.shown_path("hostile#1")) as image:
            assert image.tobytes() == shown.tobytes()
        assert list(again.replaced) == ["hostile#1"]
    assert [record.getMessage() for record in caplog.records] == [
        "page hostile#1: cannot be rendered (needs more than 0.2 s of processor time); "
        "a blank page is shown in its place"
    ] * 2, "once for each reader of the pages"


def test_what_is_kept_is_read_without_a_worker(renderer, pages_dir):
    whole = PageImages(pages_dir, renderer=renderer).shown("sound#1")
    kept = PageImages(pages_dir, renderer=NoRenderer())
    assert kept.load("sound#1").tobytes() == whole.tobytes()
    assert kept.shown_path("sound#1") == kept.path("sound#1")
    assert not kept.replaced


class Stalling(Renderer):
    """Loses its worker at every page."""

    asked = 0

    def render(self, request):  # noqa: ARG002
        self.asked += 1
        raise PageRenderError("stalled", stalled=True)


def test_a_pdf_whose_pages_stall_one_after_the_other_is_given_up(pages_dir):
    stalling = Stalling()
    images = PageImages(pages_dir, renderer=stalling)
    for number in range(1, MAX_STALLS + 2):
        with pytest.raises(PageRenderError, match=f"hostile#{number}: cannot be rendered"):
            images.path(f"hostile#{number}")
    assert stalling.asked == MAX_STALLS
    # What may be the machine's fault is tried again by the next process.
    assert not list(pages_dir.rglob("*.failed"))


def test_a_pdf_that_is_gone_is_no_page_that_cannot_be_shown(renderer, pages_dir):
    (pages_dir.parent / "pdfs" / "sound.pdf").unlink()
    with pytest.raises(InputError, match=r"sound\.pdf: No such file") as error:
        PageImages(pages_dir, renderer=renderer).shown("sound#2")
    assert not isinstance(error.value, PageRenderError)
