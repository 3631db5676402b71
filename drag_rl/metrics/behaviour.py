"""What an episode did and what it cost, whatever it found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from drag_rl.types import Malformed, StopReason, Trajectory

UNDEFINED = math.nan
"""The value of a metric that does not apply to a trajectory, such as the rank of a page that was not found."""


def behaviour(trajectory: Trajectory) -> dict[str, float]:
    """Counts and shares of one trajectory; an episode that failed with an error counts as its whole budget."""
    outcome, generations = trajectory.outcome, trajectory.generations
    turns, searches = len(outcome.turns), len(outcome.searches)
    failed = outcome.stop_reason is StopReason.ERROR
    malformed = sum(isinstance(turn.action, Malformed) for turn in outcome.turns)
    prompt = _total([generation.prompt_tokens for generation in generations], turns)
    completion = _total([generation.completion_tokens for generation in generations], turns)
    return {
        "iterations": float(outcome.config.max_turns if failed else turns),
        "searches": float(outcome.config.max_turns if failed else searches),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "duplicate_query_rate": sum(outcome.repeated) / searches if searches else UNDEFINED,
        "malformed_rate": malformed / turns if turns else UNDEFINED,
        "answered": float(outcome.answer is not None) if outcome.answer_asked else UNDEFINED,
        "error_rate": float(failed),
    }


def _total(tokens: Sequence[int | None], turns: int) -> float:
    known = [count for count in tokens if count is not None]
    return float(sum(known)) if turns and len(known) == turns == len(tokens) else UNDEFINED
