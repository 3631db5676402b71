"""Credit for single steps, without a judge: was this search needed, was it new, did the answer have evidence?

HiPRAG (arXiv 2510.07794) asks a language model whether a search was superfluous or missing; here the trace knows, as
the gold pages' ranks are exact. Each function gives one number in [0, 1] a turn, aligned with ``outcome.turns``:
``TURN_SCORES`` names them for credit at the tokens of that turn (``reward.turn_credit``). The functions at the end make
episode scores of them. Over-search, under-search and duplicates are faults: they want a negative weight.
"""

from __future__ import annotations

from collections.abc import Callable

from drag_rl.tables import Table
from drag_rl.types import Answer, Malformed, Outcome, Search, within
from reward.rank import deep_rank, rank_score
from reward.stopping import gold_at_stop_turns, search_cost_turns

PerTurn = tuple[float, ...]
"""One number for each turn of an episode, in their order."""


def gains(outcome: Outcome, credit: Callable[[int | None], float]) -> PerTurn:
    """What each search adds to the best credit so far; 0 for other turns. Sums to the credit of the best search."""
    best, values = 0.0, []
    for turn in outcome.turns:
        now = credit(turn.gold_rank)
        values.append(max(0.0, now - best))
        best = max(best, now)
    return tuple(values)


def new_gold(outcome: Outcome) -> PerTurn:
    """The share of the gold pages that this search is the first to have in its top k. Sums to at most 1."""
    fresh = _fresh_gold(outcome)
    return tuple(len(found) / len(outcome.question.gold_page_ids) for found, _ in fresh)


def over_search(outcome: Outcome) -> PerTurn:
    """1 for a search that finds no new gold page although an earlier one has found a gold page."""
    return tuple(
        float(isinstance(turn.action, Search) and bool(known) and not found)
        for turn, (found, known) in zip(outcome.turns, _fresh_gold(outcome), strict=True)
    )


def under_search(outcome: Outcome) -> PerTurn:
    """1 for an answer before any search had a gold page in its top k: an answer without evidence."""
    return tuple(
        float(isinstance(turn.action, Answer) and not known)
        for turn, (_, known) in zip(outcome.turns, _fresh_gold(outcome), strict=True)
    )


def duplicate_query(outcome: Outcome) -> PerTurn:
    """1 for a search that repeats the words of an earlier one, in any order and case, and finds no page that is new."""
    return tuple(map(float, outcome.repeated))


def novelty(outcome: Outcome) -> PerTurn:
    """The share of a search's hits that no earlier search had; 0 without hits.

    It is a bonus against repetition and no goal of its own, for random words find new pages too.
    """
    seen: set[str] = set()
    values = []
    for turn in outcome.turns:
        pages = {hit.page_id for hit in turn.hits}
        values.append(len(pages - seen) / len(pages) if pages else 0.0)
        seen |= pages
    return tuple(values)


def malformed(outcome: Outcome) -> PerTurn:
    """1 for a message that is no action."""
    return tuple(float(isinstance(turn.action, Malformed)) for turn in outcome.turns)


TURN_SCORES: Table[Callable[[Outcome], PerTurn]] = Table(
    "turn score",
    {
        "rank_score_gain": lambda outcome: gains(
            outcome, lambda rank: rank_score(rank, outcome.config.top_k)
        ),
        "deep_rank_gain": lambda outcome: gains(outcome, deep_rank),
        "new_gold": new_gold,
        "novelty": novelty,
        "over_search": over_search,
        "under_search": under_search,
        "duplicate_query": duplicate_query,
        "malformed": malformed,
        "gold_at_stop": gold_at_stop_turns,
        "search_cost": search_cost_turns,
    },
    group="drag_rl.turn_scores",
)
"""Name -> one number in [0, 1] for each turn of an episode."""


def share_of_searches(outcome: Outcome, values: PerTurn) -> float:
    """The mean of a per-turn score over the searches, in [0, 1]; 0 without a search."""
    searches = len(outcome.searches)
    return sum(values) / searches if searches else 0.0


def _fresh_gold(outcome: Outcome) -> list[tuple[set[int], set[int]]]:
    """For each turn, which gold pages it is the first to find, and which were found before it (positions)."""
    known: set[int] = set()
    steps = []
    for turn in outcome.turns:
        ranks = enumerate(turn.gold_ranks)
        found = {position for position, rank in ranks if within(rank, outcome.config.top_k)} - known
        steps.append((found, set(known)))
        known |= found
    return steps
