"""Pages that only list where things are, however they are set."""

from __future__ import annotations

import pymupdf
import pytest

from data_preprocess.outline import read_outline
from data_preprocess.page_kinds import listing_pages

TITLES = [f"How do I mend part {name}?" for name in ("one", "two", "three", "four", "five", "six")]
BODY = [f"Line {n} of an answer goes on." for n in range(9)]


def pages_listed(first_page: list[str]) -> dict[int, str]:
    document = pymupdf.open()
    pages = [first_page, *([f"{n}. {title}", *BODY] for n, title in enumerate(TITLES, start=1))]
    for lines in pages:
        document.new_page().insert_text((72, 72), lines)
    document.set_toc([[1, title, number] for number, title in enumerate(TITLES, start=2)])
    texts = {page.number + 1: page.get_text() for page in document}
    return dict(listing_pages(document, texts, read_outline(document)))


@pytest.mark.parametrize(
    "lines",
    [
        [f"{title} . . . . . . {n}" for n, title in enumerate(TITLES, start=2)],
        [f"1.{n} {title.upper()}" for n, title in enumerate(TITLES, start=1)],  # no page numbers, no links
        ["Contents", *TITLES, "A word of thanks to everybody", "who has asked"],
    ],
)
def test_contents_are_known_with_and_without_page_numbers(lines: list[str]) -> None:
    assert pages_listed(lines) == {1: "contents"}


@pytest.mark.parametrize("lines", [BODY, [*TITLES[:3], "and no more"], [*TITLES[:4], *BODY]])
def test_a_page_of_text_is_no_list(lines: list[str]) -> None:
    assert pages_listed(lines) == {}
