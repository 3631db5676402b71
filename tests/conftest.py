"""Shared fixtures: small real PDFs, made by PyMuPDF.

This folder is importable because this file is here: helper modules may live beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import gettempdir

import pytest
from filelock import FileLock
from hypothesis import settings
from hypothesis import strategies as st
from shared_world import built_once

from drag_rl.mupdf import pymupdf

# A shared machine is slow now and then; pytest's own time-out catches what hangs.
settings.register_profile("drag", deadline=None)
settings.load_profile("drag")

# Nobody pulls a plug here: what a killed process wrote stays, synchronised with the disk or not.
os.fsync = os.fstat

MakePdf = Callable[..., bytes]


@pytest.fixture(scope="session", autouse=True)
def made_once() -> None:
    """A clean clone lacks compiled loops, and hypothesis' table of characters, whose making is no test's own time.

    One process compiles, the others wait and load what it has kept: at the same time each would compile all of them.
    """
    from compiled_loops import compile_all

    with FileLock(Path(gettempdir()) / f"drag-rl-loops-{os.getuid()}.lock"):
        compile_all()
    st.text().validate()


@pytest.fixture(scope="session")
def make_pdf() -> MakePdf:
    """Build a PDF with one page a text; ``save`` takes the options of ``pymupdf.Document.save``."""

    def make(texts: Sequence[str], width: float = 400, height: float = 300, **save: object) -> bytes:
        with pymupdf.open() as document:
            for text in texts:
                page = document.new_page(width=width, height=height)
                page.insert_textbox(pymupdf.Rect(40, 40, width - 40, height - 40), text, fontsize=10)
            return document.tobytes(deflate=True, **{"no_new_id": True, **save})

    return make


@pytest.fixture
def pdf_dir(tmp_path: Path, make_pdf: MakePdf) -> Path:
    """A folder of two readable documents: ``engine`` (3 pages) and ``manuals/rotor`` (2 pages)."""
    folder = tmp_path / "pdfs"
    (folder / "manuals").mkdir(parents=True)
    engine = ["Starting the engine\nTurn the key.", "Stopping the engine", "Oil pressure limits"]
    (folder / "engine.pdf").write_bytes(make_pdf(engine))
    (folder / "manuals" / "rotor.pdf").write_bytes(make_pdf(["Rotor blades", "Rotor brake"]))
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``pdfs``, ``pages``, ``index`` and ``questions.{train,val}.parquet``: 25 pages and a question for each."""
    import training_lab

    return built_once(tmp_path_factory, "data", training_lab.make_data)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The random Qwen3-VL of about a million parameters."""
    from drag_rl.models.tiny import build_tiny

    return built_once(tmp_path_factory, "tiny", build_tiny)


@pytest.fixture(scope="session")
def speaking_model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_data: Path) -> Path:
    """That model, taught to search (for random words) and to answer, in episodes of three turns with short snippets."""
    import training_lab

    from drag_rl.episode import EpisodeConfig

    config = EpisodeConfig(max_turns=3, snippet_chars=80, think=False)
    return built_once(
        tmp_path_factory, "speaking", lambda out: training_lab.teach(tiny_model, tiny_data, out, config)
    )


@pytest.fixture(scope="session")
def world(tiny_data: Path, speaking_model: Path) -> tuple[Path, Path]:
    """The small real world: its folder of data, and that of the model that searches and answers in it."""
    return tiny_data, speaking_model


@pytest.fixture(scope="session")
def late_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of symbols, questions that name them, and ``run/model``, which has learnt to see them (minutes)."""
    import late_world

    return built_once(tmp_path_factory, "late-world", late_world.train_world)
