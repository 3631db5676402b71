"""How different the searches of a question are: over the searches of an episode and, where there are several, over all
episodes of the question.

Variety is no goal of its own, for random words find other pages too: read it beside what was found. Each metric is
undefined where there is less than what it compares. ``reward.group`` pays for the same distances within a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

from drag_rl.metrics.behaviour import UNDEFINED
from drag_rl.types import Trajectory, query_key


def distinct_words(trajectories: Sequence[Trajectory]) -> float:
    """Different words over all words of the queries, in (0, 1]: distinct-1 (Li et al. 2016, arXiv 1510.03055).

    Undefined for less than two queries.
    """
    return _distinct(trajectories, length=1)


def distinct_pairs(trajectories: Sequence[Trajectory]) -> float:
    """Different pairs of neighbouring words over all such pairs of the queries, in (0, 1]: distinct-2.

    Undefined for less than two queries, and where none has two words.
    """
    return _distinct(trajectories, length=2)


def query_diversity(trajectories: Sequence[Trajectory]) -> float:
    """The mean Jaccard distance of the words of any two queries, in [0, 1]; undefined for less than two queries."""
    return _mean_distance([set(query_key(query)) for query in _queries(trajectories)])


def page_diversity(trajectories: Sequence[Trajectory]) -> float:
    """The mean Jaccard distance of the pages that any two searches found, in [0, 1].

    A search that found none is left out: it is idle, not different. Undefined for less than two others.
    """
    return _mean_distance([pages for pages in _found(trajectories) if pages])


def distinct_pages(trajectories: Sequence[Trajectory]) -> float:
    """Different pages over all hits of the searches, in (0, 1]; undefined where less than two searches found any."""
    found = [pages for pages in _found(trajectories) if pages]
    return len(set.union(*found)) / sum(map(len, found)) if len(found) > 1 else UNDEFINED


def _queries(trajectories: Sequence[Trajectory]) -> list[str]:
    """Every query; a search may hold several, each a line."""
    searches = (query for trajectory in trajectories for query in trajectory.outcome.queries)
    return [query for search in searches for query in search.split("\n")]


def _found(trajectories: Sequence[Trajectory]) -> list[set[str]]:
    searches = (turn for trajectory in trajectories for turn in trajectory.outcome.searches)
    return [{hit.page_id for hit in turn.hits} for turn in searches]


def _distinct(trajectories: Sequence[Trajectory], length: int) -> float:
    queries = [query.casefold().split() for query in _queries(trajectories)]
    grams = [
        tuple(words[start : start + length]) for words in queries for start in range(len(words) - length + 1)
    ]
    return len(set(grams)) / len(grams) if len(queries) > 1 and grams else UNDEFINED


def _mean_distance(sets: Sequence[set[str]]) -> float:
    distances = [
        1 - len(one & other) / len(one | other) if one | other else 0.0
        for one, other in combinations(sets, 2)
    ]
    return fmean(distances) if distances else UNDEFINED
