"""Credit for knowing when to stop: gold at the stop, the pages kept, and what each search costs.

A policy that is paid for gold alone never stops. A cost of each search teaches it to, but one that is there from the
start is known to collapse what is found (SAAS, arXiv 2605.29796): give ``search_cost`` its weight by a schedule
(:mod:`reward.schedule`).
"""

from __future__ import annotations

from drag_rl.types import Outcome, Search

PerTurn = tuple[float, ...]


def gold_at_stop(outcome: Outcome) -> float:
    """The share of the gold pages found, in [0, 1], where the policy ended the episode by ``enough`` or an answer.

    0 where it did not: a budget that is spent, or a message that is no action, is no stop.
    """
    return sum(gold_at_stop_turns(outcome))


def kept_f1(outcome: Outcome) -> float:
    """F1 of the pages named with ``enough`` against the gold pages, in [0, 1]; 0 where it was not said.

    ``2 * right / (named + gold)``; a page that was never shown is named, and never right.
    """
    if outcome.enough is None:
        return 0.0
    named = len(outcome.enough.pages) + len(outcome.enough.unknown)
    gold = outcome.question.gold_page_ids
    return 2 * len(set(outcome.enough.pages) & set(gold)) / max(1, named + len(gold))


def search_cost(outcome: Outcome) -> float:
    """A cost (give it a negative weight): searches after the first, as a share of the budget, in [0, 1].

    ``(searches - 1) / (searches allowed - 1)``; 0 where only one is allowed.
    """
    return min(1.0, sum(search_cost_turns(outcome)))


def gold_at_stop_turns(outcome: Outcome) -> PerTurn:
    """For each turn, ``gold_at_stop`` on the one that ends the episode. Sums to it."""
    ended = outcome.enough is not None or outcome.answer is not None
    last = len(outcome.turns) - 1
    return tuple(share if ended and place == last else 0.0 for place, share in enumerate(outcome.coverage))


def search_cost_turns(outcome: Outcome) -> PerTurn:
    """For each turn, its share of ``search_cost``: each search after the first costs the same. Sums to it."""
    allowed = outcome.config.search_turns - 1
    searches, costs = 0, []
    for turn in outcome.turns:
        searches += isinstance(turn.action, Search)
        charged = isinstance(turn.action, Search) and 1 < searches <= allowed + 1
        costs.append(1 / allowed if charged else 0.0)
    return tuple(costs)
