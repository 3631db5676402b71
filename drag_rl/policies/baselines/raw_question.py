"""The question itself as the query."""

from __future__ import annotations

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import Baseline, again, allowed


class RawQuestion(Baseline):
    """The question itself: once, or, where a search shows new pages only, as often as it may, which reads on."""

    async def query(self, state: EpisodeState) -> str | None:
        """The question."""
        return again(state) if state.turns else allowed(state.question.text, state.config)
