"""The question without stop words as the query."""

from __future__ import annotations

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import Baseline, again, allowed
from drag_rl.retrieval.stopwords import STOPWORDS


class Keywords(Baseline):
    """The question without stop words, as often as the raw question.

    Stop words are the index's, and English question words where it has English ones.
    """

    async def query(self, state: EpisodeState) -> str | None:
        """The words that are left; the question if none is."""
        if state.turns:
            return again(state)
        stop = set(self.retriever.pages.tokenizer.stopwords)
        if not stop or stop == set(STOPWORDS["en"]):
            stop |= set(STOPWORDS["en_plus"])
        words = state.question.text.split()
        kept = [word for word in words if word.strip(".,;:!?\"'()").lower() not in stop]
        return allowed(" ".join(kept) or state.question.text, state.config)
