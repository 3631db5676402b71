"""A small world for readers: a font, PDFs of a few words, pages made ready, and a reader that has learnt nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drag_rl.models.reader.model import new_reader, save_reader
from drag_rl.models.reader.prepare import PrepareSettings, prepare
from drag_rl.mupdf import pymupdf

TEXT = (
    "Large tables are read faster when the types of their columns are known before the first row is seen and "
    "a sensible number of rows is given so that memory can be set aside at once rather than grown step by step"
)


def write_fonts(folder: Path) -> Path:
    """Put two fonts that MuPDF brings along into a folder: ``plain`` and ``roman``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, face in (("plain", "helv"), ("roman", "tiro")):
        (folder / f"{name}.otf").write_bytes(pymupdf.Font(face).buffer)
    (folder / "broken.ttf").write_bytes(b"no font")
    return folder


def write_pdf(path: Path, pages: Sequence[str]) -> Path:
    """A PDF with a text on each page, in lines that fit."""
    document = pymupdf.open()
    for text in pages:
        page = document.new_page(width=420, height=595)
        page.insert_textbox(pymupdf.Rect(40, 40, 380, 560), text, fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save(path)
    return path


def prepared_pages(folder: Path, *, fonts: Path | None = None) -> Path:
    """Pages of two documents: one to learn from, one that is watched; a third is held out."""
    pdfs = folder / "pdfs"
    write_pdf(pdfs / "learnt.pdf", [TEXT, TEXT.upper()])
    write_pdf(pdfs / "watched.pdf", [" ".join(reversed(TEXT.split()))])
    write_pdf(pdfs / "kept-back.pdf", ["zyzzyva " * 30])
    settings = PrepareSettings(held_out=("kept-*",), watched=("watched",), watched_fonts=("plain*",))
    prepare([pdfs], folder / "pages", fonts, settings)
    return folder / "pages"


def write_reader(folder: Path, seed: int = 0) -> Path:
    """A small reader that has learnt nothing, as training writes one."""
    folder.mkdir(parents=True)
    save_reader(new_reader(seed, width=64, depth=1), folder)
    return folder


def inked(pixels: np.ndarray) -> bool:
    """Whether something dark is printed."""
    return bool((pixels < 128).any())
