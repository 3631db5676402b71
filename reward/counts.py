"""Counts that are reported beside the scores and never trained on."""

from __future__ import annotations

from drag_rl.types import Outcome


def counts(outcome: Outcome) -> dict[str, float]:
    """Turns, searches and faults of an episode, under keys that never change; floats, because verl averages them."""
    return {
        "turns": float(len(outcome.turns)),
        "searches": float(len(outcome.searches)),
        "malformed": float(outcome.malformed),
        "duplicate_queries": float(sum(outcome.repeated)),
        "answered": float(outcome.answer is not None),
        "enough": float(outcome.enough is not None),
        "unknown_kept": float(len(outcome.enough.unknown)) if outcome.enough else 0.0,
    }
