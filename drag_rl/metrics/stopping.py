"""Whether an episode ended at the right moment, and with the right pages.

An episode *has enough* once its searches had every gold page in their top k. A policy *stops* where it ends the
episode, by ``enough`` or an answer, though it might have searched once more; what ends for lack of budget is no stop.
"""

from __future__ import annotations

from drag_rl.metrics.behaviour import UNDEFINED, searches
from drag_rl.metrics.metric import cost, share
from drag_rl.types import Enough, Trajectory


def gold_covered(trajectory: Trajectory) -> float:
    """The share of the gold pages that the searches had in their top k."""
    return max(trajectory.outcome.coverage, default=0.0)


def stopped(trajectory: Trajectory) -> float:
    """1 if the policy stopped; undefined where it was asked for nothing but searches."""
    outcome = trajectory.outcome
    return UNDEFINED if outcome.config.search_only else float(outcome.stops_itself)


def stop_precision(trajectory: Trajectory) -> float:
    """1 if the episode had enough when the policy stopped; undefined where it did not stop."""
    outcome = trajectory.outcome
    return float(outcome.searches_to_cover is not None) if outcome.stops_itself else UNDEFINED


def stop_recall(trajectory: Trajectory) -> float:
    """1 if the policy stopped after the first search with which it had enough.

    Undefined where it never had enough, or only with the last search that it might make: nothing was left to decide.
    """
    outcome = trajectory.outcome
    first = outcome.searches_to_cover
    if first is None or outcome.config.search_only:
        return UNDEFINED
    place = outcome.turns.index(outcome.searches[first - 1])
    if place + 1 >= outcome.config.search_turns:
        return UNDEFINED
    return float(outcome.stops_itself and len(outcome.searches) == first)


def searches_after_enough(trajectory: Trajectory) -> float:
    """Searches after the first with which the episode had enough: over-search; undefined where it never had."""
    outcome = trajectory.outcome
    first = outcome.searches_to_cover
    return UNDEFINED if first is None else float(len(outcome.searches) - first)


def stopped_too_early(trajectory: Trajectory) -> float:
    """1 if the policy stopped without enough, and the searches left to it would have found the rest: under-search.

    They are those of a fixed continuation (:mod:`drag_rl.evaluation.continuation`). Undefined where the policy did not
    stop, and where it had not enough and nobody looked.
    """
    if not trajectory.outcome.stops_itself:
        return UNDEFINED
    if trajectory.outcome.searches_to_cover is not None:
        return 0.0
    return UNDEFINED if trajectory.continued is None else float(trajectory.continued)


def oracle_searches(trajectory: Trajectory) -> float:
    """Searches had an oracle stopped the episode as soon as it had enough; all where it never had."""
    return float(trajectory.outcome.searches_to_cover or searches(trajectory))


def kept_precision(trajectory: Trajectory) -> float:
    """The share of the pages named with ``enough`` that are gold and were shown; undefined where none was named."""
    said = trajectory.outcome.enough
    named = len(said.pages) + len(said.unknown) if said else 0
    return _right(said, trajectory) / named if said and named else UNDEFINED


def kept_recall(trajectory: Trajectory) -> float:
    """The share of the gold pages that were named with ``enough``; undefined where it was not said."""
    said = trajectory.outcome.enough
    return _right(said, trajectory) / len(trajectory.outcome.question.gold_page_ids) if said else UNDEFINED


def unknown_pages(trajectory: Trajectory) -> float:
    """How many pages were named with ``enough`` that were never shown; undefined where it was not said."""
    said = trajectory.outcome.enough
    return float(len(said.unknown)) if said else UNDEFINED


def _right(said: Enough, trajectory: Trajectory) -> int:
    return len(set(said.pages) & set(trajectory.outcome.question.gold_page_ids))


METRICS_OF_STOPS = (
    share(
        "gold_covered",
        "Gold Covered",
        "gold pages that some search had in its top k",
        gold_covered,
    ),
    share(
        "stopped",
        "Stopped",
        "the policy ended the search itself, with budget left for another; where it may",
        stopped,
    ),
    share(
        "stop_precision",
        "Stop Precision",
        "every gold page was found when the policy stopped; where it did",
        stop_precision,
    ),
    share(
        "stop_recall",
        "Stop Recall",
        "the policy stopped after the first search with which every gold page was found; where there was one, and "
        "budget left",
        stop_recall,
    ),
    cost(
        "stopped_too_early",
        "Stopped Too Early",
        "the policy stopped, and reading on with the question's words would have found what was missing; where it "
        "stopped",
        stopped_too_early,
        unit="share",
    ),
    cost(
        "searches_after_enough",
        "Searches After Enough",
        "searches after the first with which every gold page was found; where one was",
        searches_after_enough,
    ),
    cost(
        "oracle_searches",
        "Oracle's Searches",
        "searches had an oracle stopped the episode when every gold page was found; all where none was",
        oracle_searches,
    ),
    share(
        "kept_precision",
        "Kept Precision",
        "pages named as enough that are gold and were shown; where some were named",
        kept_precision,
    ),
    share(
        "kept_recall",
        "Kept Recall",
        "gold pages that were named as enough; where that was said",
        kept_recall,
    ),
    cost(
        "unknown_pages",
        "Unknown Pages",
        "pages named as enough that were never shown; where that was said",
        unknown_pages,
    ),
)
"""What `drag_rl.metrics.table` lists of them."""
