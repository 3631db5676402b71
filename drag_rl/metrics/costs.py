"""What a question took, the same for all policies: pages, calls of models, time; and where it stopped of itself.

A policy that stops early may read on in its ranking, to the whole budget, so that it can be compared at equal pages.
Its messages then say that they only read on, and what it did until it stopped is measured beside all that it did.
"""

from __future__ import annotations

from itertools import zip_longest

from drag_rl.metrics.behaviour import UNDEFINED, or_budget
from drag_rl.metrics.metric import cost, share
from drag_rl.types import Search, StopReason, Trajectory, Turn


def pages_shown(trajectory: Trajectory) -> float:
    """Pages that the searches listed, each as often as they did; undefined for a failed episode."""
    pages = (hit.page_id for turn in trajectory.outcome.searches for hit in turn.hits)
    return UNDEFINED if _failed(trajectory) else float(len(list(pages)))


def unique_pages(trajectory: Trajectory) -> float:
    """Different pages that the searches listed; undefined for a failed episode."""
    pages = {hit.page_id for turn in trajectory.outcome.searches for hit in turn.hits}
    return UNDEFINED if _failed(trajectory) else float(len(pages))


def model_calls(trajectory: Trajectory) -> float:
    """Calls of all models; undefined where no message tells of one, as in older records."""
    return float(sum(use.calls for use in trajectory.uses)) if trajectory.uses else UNDEFINED


def seconds(trajectory: Trajectory) -> float:
    """Wall time of the messages, in seconds; undefined without a message."""
    generations = trajectory.generations
    return sum(generation.seconds for generation in generations) if generations else UNDEFINED


def searches_until_stop(trajectory: Trajectory) -> float:
    """Searches before the policy stopped; those that only read on do not count."""
    return or_budget(trajectory, len(searched_itself(trajectory)))


def success_until_stop(trajectory: Trajectory) -> float:
    """1 if a gold page was among the top k of a search before the policy stopped."""
    return float(any(map(trajectory.outcome.finds, searched_itself(trajectory))))


def searched_itself(trajectory: Trajectory) -> list[Turn]:
    """The searches before the policy stopped."""
    turns = zip_longest(trajectory.outcome.turns, trajectory.generations)
    return [
        turn
        for turn, generation in turns
        if turn and isinstance(turn.action, Search) and not (generation and generation.read_on)
    ]


def _failed(trajectory: Trajectory) -> bool:
    return trajectory.outcome.stop_reason is StopReason.ERROR


METRICS_OF_COSTS = (
    cost(
        "searches_until_stop",
        "Searches until It Stopped",
        "without those that only read on to the whole budget; the whole budget for a failed episode",
        searches_until_stop,
    ),
    share(
        "success_until_stop",
        "Success until It Stopped",
        "a gold page was among the top k of a search that did not only read on",
        success_until_stop,
    ),
    cost("pages_shown", "Pages Shown", "hits of all searches, repeats too", pages_shown),
    cost("unique_pages", "Different Pages", "different pages among the hits of all searches", unique_pages),
    cost(
        "model_calls",
        "Calls of Models",
        "drafts that are thrown away too; where a model is asked",
        model_calls,
    ),
    cost(
        "message_seconds",
        "Seconds of Messages",
        "wall time until all messages were written, other episodes running beside it",
        seconds,
    ),
)
"""The metrics of what a question took."""
