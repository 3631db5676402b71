"""An episode makes several rankings; each is reduced to the ranks of the gold pages in it.

``first``
    The first search's ranking of the whole corpus: what the policy makes of the question alone.
``best``
    The ranking of the search that has the best-ranked gold page (the earliest of equals): what the episode found
    at its best. An oracle picks the search, so it flatters policies that search often; compare at equal budgets.
    Where pages are not repeated, a search ranks those that no earlier one had listed.
``pooled``
    The pages shown, in the order in which they were first shown, over all searches: the episode's evidence.

The first two reach to the exact rank at any depth, or as deep as the index ranks; the last ends after the pages shown.
A gold page that is not in a ranking has rank None, as have all of them in an episode that never searched.
"""

from __future__ import annotations

from typing import Literal

from drag_rl.types import Outcome, Turn

RankingName = Literal["first", "best", "pooled"]
RANKINGS: tuple[RankingName, ...] = ("first", "best", "pooled")

Ranks = tuple[int | None, ...]
"""1-based ranks of a question's gold pages, aligned with ``Question.gold_page_ids``; all different."""


def gold_ranks(outcome: Outcome, ranking: RankingName) -> Ranks:
    """The ranks of the gold pages in one of the episode's rankings."""
    gold = outcome.question.gold_page_ids
    if ranking == "pooled":
        position = {page_id: rank for rank, page_id in enumerate(pooled_pages(outcome), start=1)}
        return tuple(position.get(page_id) for page_id in gold)
    search = first_search(outcome) if ranking == "first" else best_search(outcome)
    return search.gold_ranks if search else (None,) * len(gold)


def exact_to(outcome: Outcome, ranking: RankingName) -> int | None:
    """Down to which rank one of the episode's rankings is known; None for one that is known to its end."""
    if ranking == "pooled":
        return None
    search = first_search(outcome) if ranking == "first" else best_search(outcome)
    bounds = [turn.exact_to for turn in ([search] if search else outcome.searches)]
    return min((bound for bound in bounds if bound is not None), default=None)


def first_search(outcome: Outcome) -> Turn | None:
    """The first turn that searched, if one did."""
    return next(iter(outcome.searches), None)


def best_search(outcome: Outcome) -> Turn | None:
    """The turn whose search has the best-ranked gold page, the earliest of equals; None if none has one."""
    found = [turn for turn in outcome.searches if turn.gold_rank is not None]
    return min(found, key=lambda turn: turn.gold_rank or 0, default=None)


def pooled_pages(outcome: Outcome) -> tuple[str, ...]:
    """Every page that a search returned among its top k, in the order of first sight."""
    return tuple(dict.fromkeys(hit.page_id for turn in outcome.searches for hit in turn.hits))
