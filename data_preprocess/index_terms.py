"""A book's own index as questions: each term with the pages that its page numbers link to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data_preprocess.page_kinds import page_links
from drag_rl.corpus.redactions import Box

MAX_GAP_PT = 15.0
"""Points between two words of a line from which on the second begins another column."""

LINE_HEIGHT_PT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexTerm:
    """One line of an index."""

    term: str
    page_numbers: tuple[int, ...]
    """The 1-based pages that it links to, rising."""


def read_index(document: Any, index_pages: Sequence[int]) -> list[IndexTerm]:
    """The terms of some index pages (1-based) of a ``pymupdf.Document``; a term is listed once."""
    pages: dict[str, set[int]] = {}
    for number in index_pages:
        links = [(_box(link["from"]), link["page"] + 1) for link in page_links(document, number)]
        words = [(tuple(word[:4]), word[4]) for word in document[number - 1].get_text("words")]
        for term, page_number in _terms(_lines(words), links):
            pages.setdefault(term, set()).add(page_number)
    return [IndexTerm(term=term, page_numbers=tuple(sorted(found))) for term, found in pages.items()]


_Placed = tuple[Box, str]


def _lines(words: Sequence[tuple[Any, str]]) -> Iterator[list[_Placed]]:
    """Words in visual lines, each from left to right."""
    line: list[_Placed] = []
    for box, text in sorted(words, key=lambda word: (round(word[0][3] / LINE_HEIGHT_PT), word[0][0])):
        if line and round(line[-1][0][3] / LINE_HEIGHT_PT) != round(box[3] / LINE_HEIGHT_PT):
            yield line
            line = []
        line.append((box, text))
    if line:
        yield line


def _terms(lines: Iterator[list[_Placed]], links: Sequence[tuple[Box, int]]) -> Iterator[tuple[str, int]]:
    """``(term, page)`` for each linked page number: the words before it, back to a gap or another number."""
    for line in lines:
        term: list[str] = []
        ended, right = False, None
        middles = sorted((box[1] + box[3]) / 2 for box, _ in line)
        here = [link for link in links if link[0][1] <= middles[-1] and middles[0] <= link[0][3]]
        for box, text in line:
            targets = [page_number for area, page_number in here if _holds(area, box)]
            if right is not None and box[0] - right > MAX_GAP_PT and not targets:
                term, ended = [], False
            right = box[2]
            if targets:
                ended = True
                name = " ".join(term).rstrip(" .,:;")
                if name:
                    yield name, targets[0]
            else:
                if ended:
                    term, ended = [], False
                if text.strip("."):
                    term.append(text)


def _holds(area: Box, box: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return area[0] <= x <= area[2] and area[1] <= y <= area[3]


def _box(rect: Any) -> Box:
    return (rect.x0, rect.y0, rect.x1, rect.y1)
