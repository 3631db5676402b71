"""Query2doc: the question, said five times, with a passage that the model makes up to answer it.

Source: Wang et al. 2023, "Query2doc: Query Expansion with Large Language Models" (arXiv 2303.07678).

The paper's: one search, whose query is the question five times and one pseudo-passage for BM25, once and the passage
for a dense index. Ours: the passage is asked for without worked examples (the paper shows four), and where a search
shows new pages only, it reads on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.passages import PASSAGE_TOKENS, embeds, passage_prompt
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.prompted.reading import one_line
from drag_rl.policies.settings import PolicySettings


class Query2docSettings(PolicySettings):
    """Settings of Query2doc; the defaults are the paper's."""

    repeats: int = Field(default=5, ge=1, le=100)
    """How often an index of words gets the question; one that embeds gets it once."""
    passage_tokens: int = Field(default=PASSAGE_TOKENS, ge=1)
    """Tokens of the passage, at most."""


@dataclass(kw_only=True)
class Query2doc(Prompted):
    """One search of the question and a made-up passage."""

    settings_type: ClassVar[type[PolicySettings]] = Query2docSettings
    settings: Query2docSettings

    async def query(self, state: EpisodeState) -> str | None:
        """The question and the passage; None after that."""
        if state.turns:
            return None
        draft = await self.draft(passage_prompt(state), max_tokens=self.settings.passage_tokens)
        repeats = 1 if embeds(self.retriever) else self.settings.repeats
        return " ".join([*[state.question.text] * repeats, one_line(draft.text)])
