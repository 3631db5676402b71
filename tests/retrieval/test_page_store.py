"""The pages of an index are the same files, however many processes read them; none outlives a build."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from drag_rl.errors import InputError
from drag_rl.retrieval import PageTexts, page_store, piece_maker
from drag_rl.retrieval.build_progress import BuildProgress
from drag_rl.retrieval.page_store import write_page_store
from drag_rl.retrieval.tokenizer import Tokenizer

TEXTS = {f"doc{number // 5}#{number}": f"page {number} of {number * number} foxes" for number in range(40)}
TOKENIZER = Tokenizer(stopwords=("of",))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_store, "BATCH_PAGES", 7)
    monkeypatch.setattr(piece_maker, "PIECE_PAGES", 6)
    monkeypatch.setattr(piece_maker, "FEW_PIECES", 0)


def stored(folder: Path, workers: int = 1, progress: BuildProgress | None = None) -> dict[str, bytes]:
    folder.mkdir()
    write_page_store(folder, iter(TEXTS.items()), TOKENIZER, workers=workers, progress=progress)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pages_in_pieces_are_those_in_memory(tmp_path: Path) -> None:
    stored(tmp_path / "index")
    pages, expected = PageTexts.open(tmp_path / "index"), PageTexts.of(TEXTS, tokenizer=TOKENIZER)
    assert pages.page_ids == expected.page_ids == tuple(TEXTS)
    for page_id in TEXTS:
        assert pages.text(page_id) == TEXTS[page_id]
        assert pages.snippet(page_id, "foxes", 5) == expected.snippet(page_id, "foxes", 5) == "foxes"
    assert [pages.pages_with(term) for term in ("fox", "9", "16", "of")] == [40, 0, 2, 0]
    assert pages.rows_of("doc2").tolist() == expected.rows_of("doc2").tolist() == [10, 11, 12, 13, 14]


@pytest.mark.skipif(sys.platform != "linux", reason="counts the open files of a process by /proc")
def test_open_pages_hold_no_file_open(tmp_path: Path) -> None:
    stored(tmp_path / "index")
    before = len([*Path("/proc/self/fd").iterdir()])
    pages = [PageTexts.open(tmp_path / "index") for _ in range(3)]
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    assert all(one.text("doc2#11") == TEXTS["doc2#11"] for one in pages)


def test_progress_counts_pages_of_each_step(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []

    class Heard(BuildProgress):
        def at(self, step: str, pages: int, of: int) -> None:
            said.append((step, pages, of))

    stored(tmp_path / "index", progress=Heard())
    assert said[:2] == [("reading pages", 7, 7), ("reading pages", 14, 14)]
    assert [row for row in said if row[0] == "reading words"][-1] == ("reading words", 40, 40)


@pytest.mark.slow
def test_the_same_files_whatever_the_number_of_processes(tmp_path: Path) -> None:
    assert stored(tmp_path / "two", workers=2) == stored(tmp_path / "one")
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_killed_process_ends_the_build_with_its_cause(tmp_path: Path) -> None:
    class Killer(BuildProgress):
        def at(self, step: str, pages: int, of: int) -> None:
            if pages == of == len(TEXTS) and step == "reading pages":
                tokenizer = tmp_path / "index" / "tokenizer.json"
                tokenizer.unlink()
                os.mkfifo(tokenizer)  # which keeps the processes waiting
                Thread(target=kill_a_child).start()

    def kill_a_child() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        children[0].kill()

    with pytest.raises(InputError, match=r"killed.*fewer --workers"):
        stored(tmp_path / "index", workers=2, progress=Killer())
    assert multiprocessing.active_children() == []


KILLED = """
import multiprocessing, os, signal, sys
from pathlib import Path
from drag_rl.retrieval import page_store, piece_maker
from drag_rl.retrieval.build_progress import BuildProgress
from drag_rl.retrieval.tokenizer import Tokenizer

class Killer(BuildProgress):
    def at(self, step, pages, of):
        if step == "reading words":
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    piece_maker.PIECE_PAGES, piece_maker.FEW_PIECES = 1, 0
    texts = ((f"doc#{n}", "words " * 2000) for n in range(50))
    page_store.write_page_store(Path(sys.argv[1]), texts, Tokenizer(), workers=2, progress=Killer())
"""


@pytest.mark.slow
def test_processes_end_with_a_killed_build(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "index").mkdir()
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path / "index")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=120)
    workers = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL and len(workers) == 2
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has asked for its end yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
