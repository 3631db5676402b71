"""When two queries are one, and when asking again was in vain."""

from __future__ import annotations

from drag_rl.types import Outcome, Search

QueryKey = tuple[str, ...]


def query_key(query: str) -> QueryKey:
    """What two queries have in common that find the same pages: their words, in any order and case.

    >>> query_key("merge Data frames") == query_key("data  frames merge")
    True
    """
    return tuple(sorted(query.casefold().split()))


def repeated_searches(outcome: Outcome) -> tuple[bool, ...]:
    """For each turn, whether it searches words that were searched before, and lists no page that was not listed before.

    With ``repeat_pages=false`` the same words read on in the ranking: such a search repeats nothing.
    """
    keys: set[QueryKey] = set()
    listed: set[str] = set()
    repeated = []
    for turn in outcome.turns:
        pages = {hit.page_id for hit in turn.hits}
        key = query_key(turn.action.query) if isinstance(turn.action, Search) else None
        repeated.append(key in keys and pages <= listed)
        if key is not None:
            keys.add(key)
        listed |= pages
    return tuple(repeated)
