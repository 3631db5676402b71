"""From a generator's words to an answer: its thought left out, its citations checked, a refusal known as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from drag_rl.citations import checked_citations
from drag_rl.episode.observation import shown_as
from drag_rl.handoff.prompt import REFUSAL, given_as

_REFUSED = re.compile(rf"[\W_]*{REFUSAL}[*_\"']*\s*(?:$|[.!:;,\n(-])", re.IGNORECASE)


class ReadAnswer(NamedTuple):
    """What a generator's message says."""

    text: str
    """Without citations of pages that were not given."""
    citations: tuple[str, ...]
    dropped_citations: tuple[str, ...]
    refused: bool


def read_answer(message: str, page_ids: Sequence[str]) -> ReadAnswer:
    """Read the message of a model that was given some pages.

    >>> read_answer("<think>Look.</think>170 knots [ch47#42], or so [ch99#1].", ["ch47#42"])
    ReadAnswer(text='170 knots [ch47#42], or so.', citations=('ch47#42',), dropped_citations=('ch99#1',), refused=False)
    >>> read_answer("Not answerable.", ["ch47#42"]).refused, read_answer("<think>Let me", []).text
    (True, '')
    """
    said = _after_thought(message)
    # A searcher knows a page by the name that an observation showed, a generator by that between its markers.
    names = {name: page_id for page_id in page_ids for name in (shown_as(page_id), given_as(page_id))}
    text, cited, dropped = checked_citations(said, names)
    return ReadAnswer(text.strip(), cited, dropped, _REFUSED.match(text) is not None)


def _after_thought(message: str) -> str:
    """What follows the thought; nothing where it is not closed."""
    _, closed, rest = message.rpartition("</think>")
    return rest if closed or not message.lstrip().startswith("<think>") else ""
