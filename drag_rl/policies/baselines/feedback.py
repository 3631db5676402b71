"""The question, then queries of pseudo-relevance feedback (RM3)."""

from __future__ import annotations

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import Baseline, allowed
from drag_rl.policies.baselines.relevance import feedback_query
from drag_rl.types import Search


class Feedback(Baseline):
    """The question, then RM3 queries, each from the whole pages that the query before had found."""

    async def query(self, state: EpisodeState) -> str | None:
        """None once there is nothing to learn from, or when a query comes back."""
        question, config = state.question.text, state.config
        if not state.turns:
            return allowed(question, config)
        hits = state.turns[-1].hits
        query = feedback_query(self.retriever.pages, question, hits, config.max_query_chars)
        made = {turn.action.query for turn in state.turns if isinstance(turn.action, Search)}
        return query if query and query not in made else None
