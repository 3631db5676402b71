"""Pages that only list where things are: contents and indexes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from data_preprocess.outline import NUMERIC_PREFIX, Heading
from data_preprocess.printed import key_of

_LEADER_LINE = re.compile(r"(?:\d++ *+,)*+[ivxlc\d]++(?:\s{0,3}\.){4}", re.IGNORECASE)
"""A line that ends in dots and a page number. Both patterns are for lines read backwards, where an end is a beginning:
searched for from the left, each dot and each number would have the rest of the line looked at anew."""

_NUMBERED_LINE = re.compile(r"(?:\d++ ?[,\u2013-])*\d++[\s,].*\S")
"""A line, read backwards, that ends in page numbers."""

MIN_LEADERS, LEADER_SHARE = 4, 0.3
MIN_LINES, NUMBERED_SHARE, LINKS_PER_LINE = 8, 0.6, 0.5
MIN_TITLES, TITLE_SHARE = 4, 0.5

Listing = Literal["contents", "index"]


def listing_pages(document: Any, texts: Mapping[int, str], headings: Sequence[Heading]) -> dict[int, Listing]:
    """The pages of a ``pymupdf.Document`` that are lists of contents, figures, tables or index terms.

    ``texts`` maps 1-based page numbers to page text, ``headings`` is the outline. A page counts as one if at
    least 30 % (and 4) of its lines end in dot leaders and a number, or 60 % in page numbers while it links to
    other pages about as often, or 50 % (and 4) are bookmarks of other pages. What stands in the first half of
    the document is called contents, the rest index.
    """
    kinds: dict[int, Listing] = {}
    pages_of: dict[str, set[int]] = {}
    for heading in headings:
        pages_of.setdefault(key_of(heading.title), set()).add(heading.page_number)
    for number, text in texts.items():
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        leaders = sum(bool(_LEADER_LINE.match(line[::-1])) for line in lines)
        is_listing = leaders >= max(MIN_LEADERS, LEADER_SHARE * len(lines))
        if not is_listing and len(lines) >= MIN_LINES:
            numbered = sum(bool(_NUMBERED_LINE.match(line[::-1])) for line in lines)
            is_listing = numbered >= NUMBERED_SHARE * len(lines) and len(
                page_links(document, number)
            ) >= LINKS_PER_LINE * len(lines)
        if not is_listing:
            titles = [pages_of.get(key_of(NUMERIC_PREFIX.sub("", line)), {number}) for line in lines]
            elsewhere = sum(number not in pages for pages in titles)
            is_listing = elsewhere >= max(MIN_TITLES, TITLE_SHARE * len(lines))
        if is_listing:
            kinds[number] = "contents" if number <= document.page_count / 2 else "index"
    return kinds


def page_links(document: Any, number: int) -> list[dict[str, Any]]:
    """The links of page ``number`` (1-based) to pages of the same document, as pymupdf describes them."""
    return [link for link in document[number - 1].get_links() if link.get("page", -1) >= 0]
