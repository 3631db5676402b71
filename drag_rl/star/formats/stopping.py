"""What an episode teaches of stopping, where the policy may say that it has enough.

As soon as every gold page was shown the right message is ``enough`` with these pages, whatever the policy wrote there:
the trace knows it. So even a policy that never stopped gives examples of it, and pairs against the search that it made.
"""

from __future__ import annotations

from collections.abc import Iterator

from drag_rl.episode.enough import enough_text
from drag_rl.star.formats.conversation import Chat, Conversations
from drag_rl.star.turns import covered_before, wasted_turns
from drag_rl.types import Enough, Outcome, Search, Turn


def stop_example(outcome: Outcome, talk: Conversations) -> tuple[Chat, list[bool]] | None:
    """The conversation to the first search after which every gold page was shown, ended by ``enough``.

    With it, which of its messages are examples to follow; None where they never were, or where the episode ended with
    an answer that was asked for.
    """
    step = shown_by(outcome)
    if step is None or (outcome.answer is not None and talk.config.answer_asked):
        return None
    useful = [not wasted for wasted in wasted_turns(outcome)[:step]]
    return talk.before(outcome, step + 1).answered(right_stop(outcome, step, talk)), [*useful, True]


def searches_too_many(outcome: Outcome) -> Iterator[Turn]:
    """The turn that searches on although every gold page was shown: the first, if there is one."""
    step = shown_by(outcome)
    if step is not None and len(outcome.turns) > step and isinstance(outcome.turns[step].action, Search):
        yield outcome.turns[step]


def stops_too_early(outcome: Outcome) -> Iterator[Turn]:
    """The turn that says enough although a gold page had not been found, if there is one."""
    for turn in outcome.turns:
        if isinstance(turn.action, Enough) and not covered_before(outcome, turn):
            yield turn


def finds_more(outcome: Outcome, turn: Turn) -> bool:
    """Whether a turn's search found a gold page that none before it had found."""
    before = outcome.coverage[turn.step - 2] if turn.step > 1 else 0.0
    return outcome.coverage[turn.step - 1] > before


def shown_by(outcome: Outcome) -> int | None:
    """The 1-based step of the turn after which every gold page was shown; None if there is none."""
    missing = set(outcome.question.gold_page_ids)
    for turn in outcome.turns:
        missing -= set(turn.shown_page_ids)
        if not missing:
            return turn.step
    return None


def right_stop(outcome: Outcome, step: int, talk: Conversations) -> str:
    """The message that should follow a step: the policy's own where it says enough and names the gold pages alone."""
    gold = outcome.question.gold_page_ids
    after = outcome.turns[step] if len(outcome.turns) > step else None
    if after is not None and isinstance(after.action, Enough) and set(after.action.pages) == set(gold):
        return after.text
    turns = outcome.turns[:step]
    shown = dict.fromkeys(page_id for turn in turns for page_id in turn.shown_page_ids if page_id in gold)
    return enough_text("The pages found hold the answer.", tuple(shown), turns, talk.config)
