"""How much of what is right the searches of an episode have found so far."""

from __future__ import annotations

from collections.abc import Sequence

from drag_rl.types.rank import within
from drag_rl.types.turn import Turn


def gold_coverage(turns: Sequence[Turn], gold_pages: int, top_k: int) -> tuple[float, ...]:
    """After each turn, the share of the ``gold_pages`` that the searches so far had in their top k, in [0, 1].

    >>> first, second = Turn(step=1, text="", action=None, gold_ranks=(9, 2)), Turn(step=2, text="", action=None)
    >>> gold_coverage([first, second], gold_pages=2, top_k=3)
    (0.5, 0.5)
    """
    found: set[int] = set()
    shares = []
    for turn in turns:
        found |= {place for place, rank in enumerate(turn.gold_ranks) if within(rank, top_k)}
        shares.append(len(found) / max(1, gold_pages))
    return tuple(shares)
