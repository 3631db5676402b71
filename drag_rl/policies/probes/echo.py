"""A probe that searches whatever it was shown."""

from __future__ import annotations

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.probes.probe import Probe


class Echo(Probe):
    """Searches the question, then all that it was shown, again and again."""

    def write(self, state: EpisodeState) -> str:
        """A search for the last hits, as they stand in the trace."""
        words = state.question.text
        if state.turns:
            words = " ".join(f"{hit.page_id} {hit.snippet}" for hit in state.turns[-1].hits)
        return f"<search>{' '.join(words.split())}</search>"
