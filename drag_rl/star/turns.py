"""The searches of an episode, as they were made there and each by itself; and which turns were wasted."""

from __future__ import annotations

from collections.abc import Iterator

from drag_rl.types import Enough, Malformed, Outcome, Search, Turn, best_rank


def searches(outcome: Outcome) -> Iterator[tuple[Turn, str, int | None]]:
    """The turns that searched, each with its query and the rank of its best gold page, as the episode had it.

    Where pages are not repeated that rank counts the pages that were left to list: it says how good the query was
    after those before it.
    """
    for turn in outcome.turns:
        if isinstance(turn.action, Search):
            yield turn, turn.action.query, turn.gold_rank


def queries_alone(outcome: Outcome) -> Iterator[tuple[Turn, str, int | None]]:
    """The turns that searched, each with its query and its best gold page's rank over the whole corpus.

    What a query is worth where it is taken out of its episode. Raises ValueError where the record does not say it.
    """
    for turn, query, _ in searches(outcome):
        ranks = outcome.corpus_ranks(turn)
        if ranks is None:
            raise ValueError(f"step {turn.step}: the rank over the whole corpus was not recorded")
        yield turn, query, best_rank(ranks)


def wasted_turns(outcome: Outcome) -> tuple[bool, ...]:
    """For each turn, whether it is no example to follow.

    That is a message that is no action, a search that was made before and lists nothing new, or a search that found no
    gold while a later one did. Where the policy may say that it has enough, it is also a search after every gold page
    was found, and ``enough`` before, or without naming them.
    """
    last_find = max((turn.step for turn in outcome.turns if outcome.finds(turn)), default=0)
    wasted = []
    for turn, repeated in zip(outcome.turns, outcome.repeated, strict=True):
        if isinstance(turn.action, Search):
            missed = not outcome.finds(turn) and turn.step < last_find
            wasted.append(repeated or missed or (outcome.config.enough and covered_before(outcome, turn)))
        elif isinstance(turn.action, Enough):
            wasted.append(not set(outcome.question.gold_page_ids) <= set(turn.action.pages))
        else:
            wasted.append(isinstance(turn.action, Malformed))
    return tuple(wasted)


def covered_before(outcome: Outcome, turn: Turn) -> bool:
    """Whether the searches before a turn had found every gold page."""
    return turn.step > 1 and outcome.coverage[turn.step - 2] == 1.0
