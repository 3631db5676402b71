"""What the turns of an episode were worth: ranks, successes, and which of them were wasted."""

from __future__ import annotations

from collections.abc import Iterator

from drag_rl.metrics.queries import repeated_searches
from drag_rl.types import Malformed, Outcome, Search, Turn, best_rank


def searches(outcome: Outcome) -> Iterator[tuple[Turn, str, int | None]]:
    """The turns that searched, each with its query and the exact rank of its best gold page."""
    for turn in outcome.turns:
        if isinstance(turn.action, Search):
            yield turn, turn.action.query, best_rank(turn.gold_ranks)


def found(rank: int | None, top_k: int) -> bool:
    """Whether the gold page was among the hits.

    >>> found(3, top_k=3), found(4, top_k=3), found(None, top_k=3)
    (True, False, False)
    """
    return rank is not None and rank <= top_k


def first_success(outcome: Outcome) -> int | None:
    """The 1-based step of the first search that found gold; None if none did."""
    return next((turn.step for turn, _, rank in searches(outcome) if found(rank, outcome.top_k)), None)


def best_gold_rank(outcome: Outcome) -> int | None:
    """The exact rank of the best gold page over all searches; None without one."""
    return best_rank(tuple(rank for _, _, rank in searches(outcome)))


def wasted_turns(outcome: Outcome) -> tuple[bool, ...]:
    """For each turn, whether it is no example to follow.

    That is a message that is no action, a search that was made before and lists nothing new, or a search that found no
    gold while a later one did.
    """
    last_success = max(
        (turn.step for turn, _, rank in searches(outcome) if found(rank, outcome.top_k)), default=0
    )
    wasted = []
    for turn, repeated in zip(outcome.turns, repeated_searches(outcome), strict=True):
        if isinstance(turn.action, Search):
            missed = not found(best_rank(turn.gold_ranks), outcome.top_k) and turn.step < last_success
            wasted.append(repeated or missed)
        else:
            wasted.append(isinstance(turn.action, Malformed))
    return tuple(wasted)
