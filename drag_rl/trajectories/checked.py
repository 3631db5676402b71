"""What the types of a trajectory cannot say, for rows from files that anybody may have written."""

from __future__ import annotations

from drag_rl.types import Outcome

MAX_RANK = 2**53
"""The largest whole number that JavaScript, and so a report, knows exactly."""


def check_outcome(outcome: Outcome) -> Outcome:
    """The same outcome.

    Raises ``ValueError`` in one line for numbers that count from 1 and do not, a question without gold pages, and ranks
    that are not those of the gold pages.
    """
    gold = outcome.question.gold_page_ids
    if not gold:
        raise ValueError("the question has no gold page")
    for page_id in gold:
        document, _, number = page_id.rpartition("#")
        if not (document and number.isascii() and number.isdecimal() and len(number) < 16):
            raise ValueError(f"the gold page {page_id[:80]!r} is not DOCUMENT#NUMBER")
    if outcome.config.top_k > MAX_RANK:
        raise ValueError(f"top_k is {str(outcome.config.top_k)[:20]}, not {MAX_RANK} or less")
    for turn in outcome.turns:
        ranks = [*turn.gold_ranks, *(turn.corpus_ranks or ()), *(hit.rank for hit in turn.hits)]
        wrong = next((rank for rank in ranks if rank is not None and not 1 <= rank <= MAX_RANK), None)
        if wrong is not None:
            raise ValueError(f"turn {turn.step}: a rank is {str(wrong)[:20]}, not 1 or more")
        if turn.shown and len(turn.shown) != len(turn.hits):
            raise ValueError(
                f"turn {turn.step}: tells what was shown of {len(turn.shown)} of {len(turn.hits)} hits"
            )
        of_gold = (turn.gold_ranks, turn.corpus_ranks) if turn.action.kind == "search" else ()
        for found in of_gold:
            if found is not None and len(found) != len(gold):
                raise ValueError(f"turn {turn.step}: has {len(found)} ranks of {len(gold)} gold pages")
    return outcome
