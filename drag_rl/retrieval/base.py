"""The seam of retrieval: what every back end takes, what it gives back, and what it knows of its pages.

A back end is an object with ``pages``, ``fingerprint`` and ``search``; ``drag_rl.retrieval.kinds`` has the table of
them. Shape letters: Q queries, K hits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from drag_rl.errors import InputError
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question to a retriever: what to look for, and where."""

    text: str
    """Free text in any script; the retriever normalises it as it normalised the pages."""
    without: frozenset[str] = frozenset()
    """Ids of pages that are left out: hits and ranks are as if those pages were not in the corpus."""
    scope: str | None = None
    """Id of the document (the part of a page id before its last ``#``) whose pages alone are searched; None searches
    all pages. Ranks count within the scope."""
    track: tuple[str, ...] = ()
    """Ids of pages whose rank is wanted at any depth, whether they are among the hits or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The answer to one query: its best pages, and where the tracked pages are."""

    hits: tuple[Hit, ...]
    """The best pages, best first, at most ``top_k``; their ranks are 1, 2, 3 ... and their snippets empty."""
    tracked: tuple[int | None, ...]
    """For each page of ``Query.track``, its 1-based rank; None for a page that is not among the ranked pages, because
    the query cannot find it, because it is left out or outside the scope, or because it ranks below ``exact_to``."""
    exact_to: int | None = None
    """Down to which rank (1-based) pages are ranked. None: over the whole corpus, so that None in ``tracked`` means
    that this query does not find the page at all."""


class Retriever(Protocol):
    """Finds pages. Every back end passes the conformance suite in ``tests/retrieval/conformance.py``."""

    @property
    def pages(self) -> PageTexts:
        """The pages that can be found: ids, texts and snippets."""

    @property
    def fingerprint(self) -> str:
        """What the index is: a hex digest of its content. Equal fingerprints give equal rankings."""

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """The Q rankings of Q queries, in order, each with up to ``top_k`` (K) hits; ``top_k=0`` asks for ranks only.

        Deterministic, whatever else is in the batch or runs at the same time. Pages of equal score rank in page order
        (that of ``pages.page_ids``). A query without anything to search for has no hits and tracks no page. The event
        loop is not blocked while the search runs.
        Raises ``InputError`` for a negative ``top_k``, and for a tracked or left-out page, or a scope, that is not in
        the index.
        """


def check_top_k(top_k: int) -> None:
    """Raise ``InputError`` for a negative number of hits."""
    if top_k < 0:
        raise InputError(f"top_k must be 0 or more, not {top_k}")
