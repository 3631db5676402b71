"""How far reading on in the question's own ranking could come."""

from __future__ import annotations

from typing import ClassVar

from drag_rl.episode import EpisodeConfig
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import Baseline, again, allowed


class OracleDepth(Baseline):
    """Reads on in the ranking of the question, as deep as a whole budget of searches can, and knows when to stop.

    An upper bound for policies that keep to the question's words: it succeeds if a gold page is among its first
    ``max_turns * top_k`` pages. Each search is of the pages not shown before.
    """

    searches_last: ClassVar[bool] = True

    @classmethod
    def episode(cls, config: EpisodeConfig) -> EpisodeConfig:
        """Reading on needs searches that list new pages only."""
        return config.model_copy(update={"repeat_pages": False})

    async def query(self, state: EpisodeState) -> str | None:
        """The question, until its ranking has come to a gold page."""
        if not state.turns:
            return allowed(state.question.text, state.config)
        return None if self.cited(state) else again(state)

    def cited(self, state: EpisodeState) -> str | None:
        """The gold page that ranks best: it answers only when that has been shown."""
        gold = set(state.question.gold_page_ids)
        return next((hit.page_id for turn in state.turns for hit in turn.hits if hit.page_id in gold), None)
