"""A PDF's outline (bookmarks): its headings, and which pages the text under each covers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_preprocess.printed import Word, key_of, standing_alone
from drag_rl.corpus.redactions import Box

NUMERIC_PREFIX = re.compile(r"^((chapter|section|part)\s+)?\d+(\.\d+)*[.:]?\s+", re.IGNORECASE)
MAX_TITLE_CHARS = 400
"""Characters of a heading, at most; a longer bookmark is ignored."""
LINE_TOLERANCE_PT = 3.0
RUNNING_HEAD_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One outline entry."""

    title: str
    """The heading's text without its number."""
    page_number: int
    """The page that it points to, 1-based."""


def read_outline(document: Any) -> list[Heading]:
    """The outline of a ``pymupdf.Document`` in reading order; entries without a page or a short title are left out."""
    headings = [
        Heading(title=NUMERIC_PREFIX.sub("", " ".join(title.split())), page_number=page_number)
        for _, title, page_number, *_ in document.get_toc(simple=False)
        if 1 <= page_number <= document.page_count and len(title) <= MAX_TITLE_CHARS
    ]
    return [heading for heading in headings if key_of(heading.title)]


def running_head_tops(words_by_page: Sequence[Sequence[Word[Box]]]) -> list[float]:
    """The heights (y of the top, in points) at which a fifth or more of the pages begin."""
    tops = Counter(round(min(word.place[1] for word in words)) for words in words_by_page if words)
    return [float(top) for top, count in tops.items() if count >= RUNNING_HEAD_SHARE * sum(tops.values())]


def in_running_head(word: Word[Box], head_tops: Sequence[float]) -> bool:
    """Whether a word stands in the line that most pages begin with."""
    return any(abs(word.place[1] - top) <= LINE_TOLERANCE_PT for top in head_tops)


def begins_page(heading: Heading, words: Sequence[Word[Box]], head_tops: Sequence[float]) -> bool:
    """Whether nothing but the running head is printed above a heading; False if it is not printed."""
    places = standing_alone(words, key_of(heading.title))
    tops = [
        min(word.place[1] for word in found)
        for found in places
        if not all(in_running_head(word, head_tops) for word in found) or len(places) == 1
    ]
    if not tops:
        return False
    top = min(tops)
    return not any(
        word.place[3] <= top + LINE_TOLERANCE_PT and word.key and not in_running_head(word, head_tops)
        for word in words
    )


def covered_pages(
    headings: Sequence[Heading],
    position: int,
    words_by_page: Sequence[Sequence[Word[Box]]],
    head_tops: Sequence[float],
) -> range:
    """The 1-based pages of the text under a heading: from its page to where the next heading begins.

    A page on which the next heading is the first thing printed is not among them.
    """
    first = headings[position].page_number
    following = next((heading for heading in headings[position + 1 :]), None)
    if following is None:
        return range(first, len(words_by_page) + 1)
    last = following.page_number
    if last > first and begins_page(following, words_by_page[last - 1], head_tops):
        last -= 1
    return range(first, max(first, last) + 1)
