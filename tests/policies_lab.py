"""Policies of the table, played over an index of a test."""

from __future__ import annotations

from typing import Any

from drag_rl.doctor.probing import outcomes_of
from drag_rl.episode import EpisodeConfig
from drag_rl.policies.baselines.baseline import Baseline
from drag_rl.policies.table import POLICIES
from drag_rl.types import Outcome, Question

BASELINES = tuple(
    name for name, part in POLICIES.items() if isinstance(part, type) and issubclass(part, Baseline)
)
"""The baselines and oracles of the table."""


def play_by_name(name: str, index: Any, question: Question, config: EpisodeConfig) -> Outcome:
    """One episode of a policy that asks no server."""
    [outcome] = outcomes_of(name, [question], index.retriever, config)
    return outcome
