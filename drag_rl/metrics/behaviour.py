"""What an episode did and what it cost, whatever it found; one that failed with an error counts as its whole budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

from drag_rl.types import StopReason, Trajectory

UNDEFINED = math.nan
"""The value of a metric that does not apply to a trajectory, such as the rank of a page that was not found."""


def iterations(trajectory: Trajectory) -> float:
    """Assistant messages."""
    return or_budget(trajectory, len(trajectory.outcome.turns))


def searches(trajectory: Trajectory) -> float:
    """Turns that searched."""
    return or_budget(trajectory, len(trajectory.outcome.searches))


def prompt_tokens(trajectory: Trajectory) -> float:
    """Tokens read, summed over the messages; undefined where a message does not tell."""
    return _total([generation.prompt_tokens for generation in trajectory.generations], trajectory)


def completion_tokens(trajectory: Trajectory) -> float:
    """Tokens written, summed over the messages; undefined where a message does not tell."""
    return _total([generation.completion_tokens for generation in trajectory.generations], trajectory)


def duplicate_query_rate(trajectory: Trajectory) -> float:
    """The share of the searches that repeat an earlier one; undefined without a search."""
    outcome = trajectory.outcome
    return sum(outcome.repeated) / len(outcome.searches) if outcome.searches else UNDEFINED


def malformed_rate(trajectory: Trajectory) -> float:
    """The share of the messages that are no action; undefined without a message."""
    outcome = trajectory.outcome
    return outcome.malformed / len(outcome.turns) if outcome.turns else UNDEFINED


def answered(trajectory: Trajectory) -> float:
    """1 if the episode ended with an answer; undefined where none was asked for."""
    outcome = trajectory.outcome
    return float(outcome.answer is not None) if outcome.answer_asked else UNDEFINED


def error_rate(trajectory: Trajectory) -> float:
    """1 if the episode failed with an error."""
    return float(trajectory.outcome.stop_reason is StopReason.ERROR)


def or_budget(trajectory: Trajectory, count: int) -> float:
    """A count of messages or searches; the whole budget for an episode that failed with an error."""
    return float(trajectory.outcome.config.max_turns if error_rate(trajectory) else count)


def _total(tokens: Sequence[int | None], trajectory: Trajectory) -> float:
    turns = len(trajectory.outcome.turns)
    known = [count for count in tokens if count is not None]
    return float(sum(known)) if turns and len(known) == turns == len(tokens) else UNDEFINED
