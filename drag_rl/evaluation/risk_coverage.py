"""Risk against coverage of a policy's stops (El-Yaniv and Wiener 2010), the earliest stops first.

A policy is surest where it stops first. So its stops are taken in the order of the searches before them: *coverage* is
the share of all episodes that have stopped after so many searches or fewer, *risk* the share of these that lack a gold
page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drag_rl.types import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPoint:
    """The stops after so many searches or fewer."""

    searches: int
    coverage: float
    """Their share of all episodes, in (0, 1]."""
    risk: float
    """The share of them that lack a gold page, in [0, 1]."""


def risk_coverage(outcomes: Sequence[Outcome]) -> tuple[StopPoint, ...]:
    """A point for each number of searches after which a policy stopped, in order; empty where it never did."""
    stops = sorted(
        (len(outcome.searches), outcome.searches_to_cover is None)
        for outcome in outcomes
        if outcome.stops_itself
    )
    points = []
    for searches in dict.fromkeys(number for number, _ in stops):
        so_far = [lacks for number, lacks in stops if number <= searches]
        points.append(
            StopPoint(
                searches=searches,
                coverage=len(so_far) / len(outcomes),
                risk=sum(so_far) / len(so_far),
            )
        )
    return tuple(points)
