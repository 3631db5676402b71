"""Search-R1's rule-based reward with its format and retrieval terms (arXiv 2503.09516 and 2505.15117).

============================  ==================  =====================
the answer                    well-formed episode  episode with mistakes
============================  ==================  =====================
matches                       1                   1 - 0.2
does not, gold text shown     0.2 + 0.1           0.1
does not, gold text not shown 0.2                 0.1
is missing                    0                   0
============================  ==================  =====================

A match in between, as token F1 gives, mixes the first row with the row below it. An episode is well-formed when every
message is one action of our protocol and the last one answers. For a question without known answers only the last three
rows can hold.
"""

from __future__ import annotations

from drag_rl.types import Outcome
from reward.answer import answer_in_context, exact_match, token_f1

STRUCTURE = 0.2
"""What a well-formed episode earns without a match, and one with mistakes loses with it."""
FINAL = 0.1
"""What an answer earns in an episode with mistakes, without a match."""
RETRIEVAL = 0.1
"""What a well-formed episode earns beside STRUCTURE if the text of a gold answer was shown."""


def search_r1_em(outcome: Outcome) -> float:
    """Search-R1's reward (see the module's table), in [0, 1], where the answer matches by exact match."""
    return _mixed(outcome, exact_match(outcome))


def search_r1_f1(outcome: Outcome) -> float:
    """Search-R1's reward with token F1 as the match, in [0, 1]: equal to ``search_r1_em`` where F1 is 0 or 1."""
    return _mixed(outcome, token_f1(outcome))


def _mixed(outcome: Outcome, match: float) -> float:
    if outcome.answer is None:
        return 0.0
    if outcome.malformed:
        return match * (1 - STRUCTURE) + (1 - match) * FINAL
    if match == 1.0:
        return 1.0
    return match + (1 - match) * (STRUCTURE + RETRIEVAL * answer_in_context(outcome))
