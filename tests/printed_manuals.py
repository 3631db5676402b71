"""Small PDFs with bookmarks, running heads, contents and index pages, as manuals have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from drag_rl.corpus.ingest import ingest_pdfs
from drag_rl.corpus.tesseract import read_options
from drag_rl.mupdf import pymupdf

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, LINE = 612, 792, 72, 90, 720, 16
FILLER = [f"Plain text number {n} of this part goes on for a while." for n in range(60)]

Section = tuple[str, Sequence[str]]
"""A heading as printed, number included, and its lines of text."""


class Manual:
    """Lays out a manual: contents on page 1, then the sections, then an index."""

    def __init__(
        self, sections: Sequence[Section], terms: Mapping[str, Sequence[str]], running_head: str
    ) -> None:
        self._document = pymupdf.open()
        self._running_head = running_head
        self._page()
        pages = {heading: self._section(heading, lines) for heading, lines in sections}
        y = TOP
        for heading, number in pages.items():
            self._listed(self._document[0], y, heading, [number])
            y += LINE
        toc = [[1, heading, number] for heading, number in pages.items()]
        if terms:
            index = self._page()
            toc.append([1, "Concept index", index.number + 1])
            for row, (term, headings) in enumerate(terms.items()):
                self._listed(index, TOP + row * LINE, term, [pages[heading] for heading in headings])
        self._document.set_toc(toc)

    def save(self, path: Path) -> None:
        self._document.save(path)

    def _page(self) -> pymupdf.Page:
        page = self._document.new_page(width=WIDTH, height=HEIGHT)
        page.insert_text((LEFT, 50), f"{self._running_head} {self._document.page_count}")
        self._y = TOP
        return page

    def _section(self, heading: str, lines: Sequence[str]) -> int:
        if self._y > TOP:
            self._y += LINE
        page = self._document[-1] if self._document.page_count > 1 else self._page()
        if self._y > BOTTOM - 2 * LINE:
            page = self._page()
        start = page.number + 1
        for line in [heading, *lines]:
            if self._y > BOTTOM:
                page = self._page()
            page.insert_text((LEFT, self._y), line)
            self._y += LINE
        return start

    @staticmethod
    def _listed(page: pymupdf.Page, y: float, name: str, numbers: Sequence[int]) -> None:
        page.insert_text((LEFT, y), f"{name} . . . . . . . .")
        for position, number in enumerate(numbers):
            x = 400 + 40 * position
            page.insert_text((x, y), f"{number}{',' if position + 1 < len(numbers) else ''}")
            area = pymupdf.Rect(x - 1, y - 12, x + 20, y + 3)
            page.insert_link({"kind": pymupdf.LINK_GOTO, "page": number - 1, "from": area})


def ingest(pdf_dir: Path, pages_dir: Path) -> Path:
    """The pages of a folder of PDFs."""
    ingest_pdfs(pdf_dir, pages_dir, read_options("off"))
    return pages_dir
