"""What a generator answered from the pages that a searcher handed to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """One answer of a generator; one that failed has an ``error``, and counts as wrong."""

    page_ids: tuple[str, ...] = ()
    """The pages that it was given, best first."""
    text: str = ""
    """The answer, without thoughts and without citations of pages that it was not given; empty where it failed."""
    citations: tuple[str, ...] = ()
    """The given pages that it cites, in order, without repeats."""
    dropped_citations: tuple[str, ...] = ()
    """What else it cited: these were taken out of the text."""
    refused: bool = False
    """Whether it says that the pages do not hold the answer."""
    prompt_tokens: int | None = None
    """Tokens that it read; None where its server does not tell."""
    completion_tokens: int | None = None
    """Tokens that it wrote; None where its server does not tell."""
    seconds: float = 0.0
    """Wall time from the pages to the whole answer."""
    finish_reason: str = "stop"
    """``stop``, or ``length`` for an answer cut by a token limit."""
    error: str = ""
    """Why there is no answer, in one line; empty where there is one."""
