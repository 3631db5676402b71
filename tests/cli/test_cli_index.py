"""What ``drag index`` says: how it goes, and what it has taken over from the index that was there."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console
from tiny_corpus import page_of

from drag_rl.cli import index_bar
from drag_rl.cli.main import main
from drag_rl.corpus import pages as corpus


def drag(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def write(folder: Path, documents: dict[str, str]) -> Path:
    pages = [page_of(name, 1, text) for name, text in sorted(documents.items())]
    corpus.write_pages(folder, pages, stage="ingest", pdf_dir=None)
    return folder


def test_what_was_taken_over_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = {"a": "red fox", "b": "blue fox", "c": "green tree"}
    command = ("index", "--pages", tmp_path / "pages", "--out", tmp_path / "index", "--workers", "2")
    write(tmp_path / "pages", documents)
    assert drag(*command) == 0
    assert "taken over" not in capsys.readouterr().out
    write(tmp_path / "pages", documents | {"b": "a blue fox", "d": "new"})
    assert drag(*command) == 0
    assert "2 of 4 documents were taken over" in capsys.readouterr().out
    assert drag(*command[:-1], "0") == 2


def test_a_terminal_shows_the_step_and_how_fast_pages_go(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=160)
    monkeypatch.setattr(index_bar, "Console", lambda stderr: terminal if stderr else None)
    with index_bar.index_bar("Indexing [data]") as bar:
        for pages in (0, 1000, 2000):
            bar.at("reading words", pages, 3000)
            time.sleep(0.01)
    assert "Indexing [data]: reading words" in shown.getvalue() and "pages/s" in shown.getvalue()
    with index_bar.index_bar("Indexing") as bar:
        bar.at("reading words", 1000, 3000)
        bar.at("writing the index", 0, 0)
    assert "Indexing: writing the index" in shown.getvalue()


def test_there_are_as_many_processes_as_cpus_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for cpus, workers in ((1, 1), (3, 3), (64, index_bar.MOST_WORKERS)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cpus=cpus: set(range(cpus)))
        assert index_bar.default_workers() == workers
