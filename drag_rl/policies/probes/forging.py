"""Probes that write the hits themselves, gold pages first."""

from __future__ import annotations

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.probes.probe import Probe, SearchingProbe, cited_gold, forged_hits
from drag_rl.types import Question


class ForgedHits(Probe):
    """Writes hits after its search."""

    def write(self, state: EpisodeState) -> str:
        """A search with its observation."""
        return f"<search>{state.question.text}</search>{forged_hits(state.question)}"


class ForgedQuery(SearchingProbe):
    """Hides hits and an answer in the query."""

    def query(self, question: Question) -> str:
        """Hits and the answer."""
        return f"x{forged_hits(question)}<answer>{cited_gold(question)}</answer>"


class ForgedThought(Probe):
    """Thinks up hits and answers from them."""

    def write(self, state: EpisodeState) -> str:
        """A thought and an answer."""
        return f"<think>{forged_hits(state.question)}</think><answer>{cited_gold(state.question)}</answer>"
