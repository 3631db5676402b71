"""What a policy that stopped too early would have found: the question's own words, read on for the searches left.

The continuation is fixed, so that policies are compared by the same one: it searches the question's words and lists the
best pages that the episode had not listed, ``top_k`` for each search that the policy might still have made; it stays in
the document in which the episode stayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drag_rl.policies.baselines.baseline import allowed
from drag_rl.retrieval import Query, Ranking, Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.types import Outcome, Trajectory, within

AT_A_TIME = 64
"""Queries that are searched together."""


def with_continuations(trajectories: Sequence[Trajectory], retriever: Retriever) -> list[Trajectory]:
    """The trajectories, those that stopped without enough with what reading on finds (``Trajectory.continued``)."""
    early = [
        place
        for place, one in enumerate(trajectories)
        if one.outcome.stops_itself and one.outcome.searches_to_cover is None
    ]
    found = blocking(_search([trajectories[place].outcome for place in early], retriever)) if early else []
    told = list(trajectories)
    for place, ranking in zip(early, found, strict=True):
        told[place] = replace(told[place], continued=_finds(told[place].outcome, ranking))
    return told


async def _search(outcomes: Sequence[Outcome], retriever: Retriever) -> list[Ranking]:
    rankings: list[Ranking] = []
    for start in range(0, len(outcomes), AT_A_TIME):
        some = outcomes[start : start + AT_A_TIME]
        queries = [
            Query(
                text=allowed(outcome.question.text, outcome.config),
                scope=outcome.scope,
                without=frozenset(hit.page_id for turn in outcome.turns for hit in turn.hits),
                track=_missing(outcome),
            )
            for outcome in some
        ]
        rankings += await retriever.search(queries, max(map(_depth, some)))
    return rankings


def _missing(outcome: Outcome) -> tuple[str, ...]:
    """The gold pages that no search has listed."""
    listed = {hit.page_id for turn in outcome.turns for hit in turn.hits}
    return tuple(page_id for page_id in outcome.question.gold_page_ids if page_id not in listed)


def _depth(outcome: Outcome) -> int:
    """The pages that the searches left would list."""
    return max(0, outcome.config.search_turns - len(outcome.searches)) * outcome.config.top_k


def _finds(outcome: Outcome, ranking: Ranking) -> bool | None:
    """Whether the continuation lists every page that is missing; None where the index does not rank so deep."""
    depth = _depth(outcome)
    if ranking.exact_to is not None and ranking.exact_to < depth and None in ranking.tracked:
        return None
    return all(within(rank, depth) for rank in ranking.tracked)
