"""HyDE: search passages that the model makes up to answer the question, and the question, as one.

Source: Gao et al. 2023, "Precise Zero-Shot Dense Retrieval without Relevance Labels" (arXiv 2212.10496), and its code.

The paper's: 8 passages are drawn at temperature 0.7; their embeddings and the question's are averaged, and the pages
nearest to the average are found. Ours: the average is never made. An inner product with it is the average of the inner
products, so each text is a query of one search, and pages are ranked by the sum of their scores (``combine=sum``). That
is the same ranking where a page is one passage and no page that counts is below the best 1,000 of a text; a page of
several passages is scored by the best of them for each text, where HyDE would take one for all. Passages that are equal
count once. The texts are embedded as queries; the paper's encoder makes no difference.

``hyde`` needs an index that embeds. ``hyde-words`` is a variant for indexes of words, and not in the paper: the
passages and the question concatenated into one query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.passages import PASSAGE_TOKENS, embeds, passage_prompt
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.settings import PolicySettings

MOST_QUERIES = 16
"""Queries of one search that an episode allows, at most."""


class HydeSettings(PolicySettings):
    """Settings of HyDE; the defaults are the paper's."""

    passages: int = Field(default=8, ge=1, le=MOST_QUERIES - 1)
    """Passages that are drawn."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """At which they are drawn, whatever ``--sampling`` says."""
    passage_tokens: int = Field(default=PASSAGE_TOKENS, ge=1)
    """Tokens of a passage, at most."""


@dataclass(kw_only=True)
class HydeWords(Prompted):
    """One search of the question and several made-up passages, concatenated."""

    settings_type: ClassVar[type[PolicySettings]] = HydeSettings
    settings: HydeSettings
    _between: ClassVar[str] = " "

    async def query(self, state: EpisodeState) -> str | None:
        """The question and the passages; None after that."""
        if state.turns:
            return None
        passages = await self.drafts(
            passage_prompt(state),
            self.settings.passages,
            max_tokens=self.settings.passage_tokens,
            temperature=self.settings.temperature,
        )
        return self._between.join([" ".join(state.question.text.split()), *passages])


@dataclass(kw_only=True)
class Hyde(HydeWords):
    """One search of the question and several made-up passages, whose scores are added up."""

    _between: ClassVar[str] = "\n"

    @classmethod
    def episode(cls, config: EpisodeConfig) -> EpisodeConfig:
        """Each text is a query of its own."""
        update = {
            "max_query_chars": 0,
            "expand_question": False,
            "queries_per_turn": MOST_QUERIES,
            "combine": "sum",
        }
        return config.model_copy(update=update)

    async def query(self, state: EpisodeState) -> str | None:
        """The question and the passages, a query each. Raises InputError for an index that does not embed."""
        if not embeds(self.retriever):
            raise InputError(
                "--policy hyde: averages embeddings, and this index ranks by words; use --policy hyde-words"
            )
        return await super().query(state)
