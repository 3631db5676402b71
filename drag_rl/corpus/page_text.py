"""The text of a page of a PDF, in the order in which a person reads it."""

from __future__ import annotations

from typing import Any

from drag_rl.corpus.clean_text import clean_text
from drag_rl.corpus.reading_order import Line, reading_order
from drag_rl.mupdf import pymupdf

TEXT_FLAGS = pymupdf.TEXT_MEDIABOX_CLIP


def text_of(page: Any) -> str:
    """The text layer of a ``pymupdf.Page``, cleaned, a row a line."""
    textpage = page.get_textpage(flags=TEXT_FLAGS)
    upright = page.rotation_matrix if page.rotation else None
    lines = [
        Line(
            "".join(span["text"] for span in line["spans"]),
            *(pymupdf.Rect(line["bbox"]) * upright if upright is not None else line["bbox"]),
        )
        for block in page.get_text("dict", textpage=textpage)["blocks"]
        for line in block.get("lines", ())
    ]
    rows = reading_order([line for line in lines if line.text.strip()])
    return clean_text("\n".join(" ".join(line.text for line in row) for row in rows))
