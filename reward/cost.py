"""What a query costs.

BM25 sums the scores of a query's terms, so a longer query often ranks better. A cost on length keeps that from being
the cheapest way to a reward.
"""

from __future__ import annotations

from drag_rl.types import Outcome

FREE_CHARS = 160
"""Characters of a query that cost nothing: 99 % of the sample corpus's questions are no longer than this."""
FULL_CHARS = 600
"""Characters of a query from which on the cost is 1: about a paragraph of a page."""


def query_length(outcome: Outcome) -> float:
    """A cost (give it a negative weight): the length of the longest query beyond what is free, in [0, 1].

    ``(characters - 160) / (600 - 160)``, cut to [0, 1]. The longest query counts, so no further search lowers it.
    """
    longest = max(map(len, outcome.queries), default=0)
    return min(1.0, max(0.0, (longest - FREE_CHARS) / (FULL_CHARS - FREE_CHARS)))
