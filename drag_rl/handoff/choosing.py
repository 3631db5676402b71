"""Which pages of an episode are handed on, and how much of each fits a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from drag_rl.protocol import MAX_PIXELS
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Outcome

RANK_CONSTANT = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""
BYTES_A_TOKEN = 3
"""Bytes of UTF-8 text that one token holds at least, on average: English has 4 to 5, one Chinese character is 3. The
generator's own tokenizer is not at hand, so that this is on the safe side."""
PIXELS_A_TOKEN = 32 * 32
"""Pixels of a page image that one visual token of Qwen3-VL shows; other models use about as many or fewer tokens."""
TOKENS_OF_MARKERS = 24
"""Of the lines around a page."""
LEAST_CHARS = 200
"""A page of which fewer characters would fit is not given at all."""

Shown = Literal["text", "image", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPage:
    """One page as the generator gets it."""

    page_id: str
    text: str
    """Its text, or the part that fits; empty where only the image is given."""
    image: bool
    """Whether its image is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBudget:
    """How much of the pages a generator is given."""

    tokens: int = 4096
    """Tokens of all pages together, at most, as estimated here."""
    pages: int = 0
    """Pages, at most; 0 means as many as fit."""
    shown: Shown = "text"
    """What is given of a page: its text, its image, or both."""
    max_pixels: int = MAX_PIXELS
    """Pixels of a page image, at most."""


def best_first(outcome: Outcome) -> tuple[str, ...]:
    """The pages that an episode hands on, each once, best first.

    Where the policy named pages when it said that it has enough, those alone. Else those that its answer cites, then
    all others that a search listed, by reciprocal rank fusion over the searches (the first seen of equals).
    """
    if outcome.enough and outcome.enough.pages:
        return outcome.enough.pages
    scores: dict[str, float] = {}
    for turn in outcome.searches:
        for hit in turn.hits:
            scores[hit.page_id] = scores.get(hit.page_id, 0.0) + 1 / (RANK_CONSTANT + hit.rank)
    cited = [page_id for page_id in (outcome.answer.citations if outcome.answer else ()) if page_id in scores]
    return tuple(dict.fromkeys([*cited, *sorted(scores, key=scores.__getitem__, reverse=True)]))


def within(page_ids: Sequence[str], pages: PageTexts, question: str, budget: PageBudget) -> list[GivenPage]:
    """The first pages, as many as fit the budget; of the last text that does not fit, the part that fits the question.

    Raises InputError for a page that is not among ``pages``.
    """
    left = budget.tokens
    given: list[GivenPage] = []
    for page_id in page_ids[: budget.pages or None]:
        image = budget.shown != "text"
        left -= TOKENS_OF_MARKERS + (budget.max_pixels // PIXELS_A_TOKEN if image else 0)
        text = "" if budget.shown == "image" else pages.text(page_id)
        takes = text_tokens(text)
        if left < 0:
            break
        if takes > left:
            chars = len(text) * left // takes
            if chars >= LEAST_CHARS:
                cut = pages.snippet(page_id, question, chars)
                given.append(GivenPage(page_id=page_id, text=cut, image=image))
            break
        left -= takes
        given.append(GivenPage(page_id=page_id, text=text, image=image))
    return given


def text_tokens(text: str) -> int:
    """About how many tokens a text has, rather too many than too few.

    >>> text_tokens("merge two data frames"), text_tokens("結合")
    (7, 2)
    """
    return -(-len(text.encode(errors="replace")) // BYTES_A_TOKEN)
