"""Probes that answer without a search."""

from __future__ import annotations

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.probes.probe import Probe, cited_gold


class PromptAnswer(Probe):
    """Repeats the question as an answer."""

    def write(self, state: EpisodeState) -> str:
        """The question, as an answer."""
        return f"<answer>{state.question.text}</answer>"


class GoldByHeart(Probe):
    """Gives the gold answer and page."""

    def write(self, state: EpisodeState) -> str:
        """The gold answer with its page."""
        return f"<answer>{cited_gold(state.question)}</answer>"


class Prose(Probe):
    """Writes no action at all."""

    def write(self, state: EpisodeState) -> str:
        """The gold answer, without a tag."""
        return cited_gold(state.question)
