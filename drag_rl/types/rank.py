"""Ranks of pages, and when two queries are the same."""

from __future__ import annotations

import unicodedata
from typing import TypeGuard


def best_rank(ranks: tuple[int | None, ...]) -> int | None:
    """The best (smallest) of some ranks; None if there is none.

    >>> best_rank((None, 4, 2)), best_rank((None,)), best_rank(())
    (2, None, None)
    """
    return min((rank for rank in ranks if rank is not None), default=None)


def within(rank: int | None, cutoff: int) -> TypeGuard[int]:
    """Whether a page of this rank is among the first ``cutoff``; None is no rank.

    >>> within(3, 3), within(4, 3), within(None, 3)
    (True, False, False)
    """
    return rank is not None and rank <= cutoff


def query_key(query: str) -> tuple[str, ...]:
    """What two queries have in common that find the same pages: their words, in any order and case, and
    however their accents are typed. Several queries of one search, each a line, may come in any order too.

    >>> query_key("merge Data frames") == query_key("data  frames merge")
    True
    >>> query_key("b a\\nc") == query_key("C\\na b") != query_key("a b c")
    True
    """
    first, *others = sorted(sorted(line.split()) for line in _folded(query).split("\n"))
    return tuple(first) + tuple(word for line in others for word in ("\n", *line))


def _folded(query: str) -> str:
    return unicodedata.normalize("NFC", query.casefold())
