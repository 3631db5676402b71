"""Whether and when an episode found a gold page."""

from __future__ import annotations

from drag_rl.metrics.behaviour import UNDEFINED
from drag_rl.metrics.rankings import first_search
from drag_rl.types import Trajectory


def success(trajectory: Trajectory) -> float:
    """1 if a gold page was among the top k of any search."""
    return float(trajectory.outcome.solved)


def iterations_to_success(trajectory: Trajectory) -> float:
    """Searches until a gold page was among the top k; undefined if none was."""
    outcome = trajectory.outcome
    find = outcome.first_find
    return float(outcome.searches.index(find) + 1) if find else UNDEFINED


def first_hit_rate(trajectory: Trajectory) -> float:
    """1 if the first search had a gold page among its top k."""
    first = first_search(trajectory.outcome)
    return float(first is not None and first is trajectory.outcome.first_find)


def first_hit_rank(trajectory: Trajectory) -> float:
    """The rank of the best gold page in the first search; undefined if none was among its top k."""
    first = first_search(trajectory.outcome)
    found = first is not None and first is trajectory.outcome.first_find
    return float(first.gold_rank) if first and found and first.gold_rank else UNDEFINED


def first_gold_rank(trajectory: Trajectory) -> float:
    """The exact rank of the best gold page in the first search; the number of pages if it has none."""
    first = first_search(trajectory.outcome)
    return float((first and first.gold_rank) or trajectory.outcome.corpus_pages)


def best_gold_rank(trajectory: Trajectory) -> float:
    """The exact rank of the best gold page in the best search; the number of pages if it has none."""
    return float(trajectory.outcome.best_gold_rank or trajectory.outcome.corpus_pages)
