"""What real pages say arrives as a person reads it: tables in rows, words whole, scripts side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymupdf
import pytest

from drag_rl.corpus.ingest import ingest_pdfs
from drag_rl.corpus.page_text import text_of
from drag_rl.corpus.pdf_pages import ReadOptions
from drag_rl.retrieval import build_index, open_retriever
from drag_rl.retrieval.documents import search

TABLE = [("Part", "Torque", "Interval")]
TABLE += [(f"Bolt M{size}", f"{size * 7}.5 Nm", f"{size * 50} h") for size in range(4, 12)]
PROSE = [f"line {number} of the text that fills its whole column" for number in range(12)]

Placed = Sequence[tuple[float, float, str]]
"""Texts with the place of their beginning, in points."""


@contextmanager
def page_with(texts: Placed) -> Iterator[Any]:
    with pymupdf.open() as document:
        page = document.new_page()
        for x, y, text in texts:
            page.insert_text((x, y), text, fontsize=9)
        yield document.load_page(0)


def cells(by_columns: bool, top: float = 80) -> Placed:
    """A table as programs draw it: row by row, or column by column."""
    places = [(row, column) for row in range(len(TABLE)) for column in range(3)]
    places.sort(key=lambda place: place[::-1] if by_columns else place)
    return [(60 + 150 * column, top + 16 * row, TABLE[row][column]) for row, column in places]


@pytest.mark.parametrize("by_columns", [False, True])
def test_a_table_keeps_its_rows_however_it_is_drawn(by_columns: bool) -> None:
    with page_with(cells(by_columns)) as page:
        assert text_of(page).splitlines() == [" ".join(row) for row in TABLE]


def test_a_table_below_two_columns_of_prose_keeps_its_rows_and_they_stay_columns() -> None:
    columns = [(x, 60 + 12 * number, line) for x in (60, 310) for number, line in enumerate(PROSE)]
    caption = "Table 1 stands across both of the columns, and says how often the bolts are fastened"
    with page_with([*columns, (60, 230, caption), *cells(True, top=260)]) as page:
        assert text_of(page).splitlines() == [*PROSE, *PROSE, caption, *map(" ".join, TABLE)]


SCRIPTS = """<p>Ο ρότορας (rotor) περιστρέφεται.</p>
<p>Двигатель (engine) запускается быс-<br/>тро.</p><p>回転 rotor 検査</p>
<p>Regular lubri-<br/>cation of the gear-<br/>Box keeps Groß-<br/>Ürzig in soft\u00ad<br/>ware.</p>"""  # noqa: RUF001 - scripts that look alike are the point


def test_scripts_stand_side_by_side_and_words_broken_at_a_lines_end_are_found_whole(tmp_path: Path) -> None:
    (tmp_path / "pdfs").mkdir()
    with pymupdf.open() as document:
        document.new_page().insert_htmlbox(pymupdf.Rect(50, 50, 500, 400), SCRIPTS)
        document.new_page().insert_text((60, 80), "Nothing of all that is on this page, in any script.")
        document.save(tmp_path / "pdfs/manual.pdf")
    ingest_pdfs(tmp_path / "pdfs", tmp_path / "pages", ReadOptions(ocr="off"))
    build_index(tmp_path / "pages", tmp_path / "index")
    index = open_retriever(tmp_path / "index")
    for query in ("lubrication", "ρότορας", "двигатель", "быстро", "回転", "ürzig"):
        assert [hit.page_id for hit in search(index, query)] == ["manual#1"], query
    assert not search(index, "großürzig") and not search(index, "lubri")
