"""ThinkQE: rounds of expansions, each written with the pages of the round before in sight, and all of them searched.

Source: Lei et al. 2025, "ThinkQE: Query Expansion via an Evolving Thinking Process" (arXiv 2506.09260), and its code.

The paper's: the question is searched first; each of 3 rounds draws 2 passages at temperature 0.6 from a model that is
shown the question and the best 5 pages, and searches the question and the passages of all rounds. The question is said
``max(1, words of the passages / (3 x words of the question))`` times. What a thinking model thinks is not searched.
Ours: ``top_k`` pages in place of 5, and no more searches than the episode allows: a budget of three is the question and
two rounds. Pages seen before are left out only where a search shows new pages only (``repeat_pages=false``); the code's
filter, which is off unless told otherwise, drops those seen two rounds before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.passages import PASSAGE_TOKENS
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.prompted.reading import last_pages, with_pages
from drag_rl.policies.settings import PolicySettings


class ThinkqeSettings(PolicySettings):
    """Settings of ThinkQE; the defaults are the paper's."""

    rounds: int = Field(default=3, ge=1, le=100)
    """Rounds of expansion, after the search of the question."""
    passages: int = Field(default=2, ge=1, le=32)
    """Passages that are drawn in a round."""
    temperature: float = Field(default=0.6, ge=0, le=2)
    """At which they are drawn, whatever ``--sampling`` says."""
    pages: int = Field(default=5, ge=1, le=100)
    """Pages that the model is shown, at most."""
    question_weight: float = Field(default=3.0, gt=0)
    """The passages have so many words for one of the question, or fewer."""
    passage_tokens: int = Field(default=PASSAGE_TOKENS, ge=1)
    """Tokens of a passage, its thought included, at most; a thinking model needs thousands."""


@dataclass(kw_only=True)
class Thinkqe(Prompted):
    """The question, then the question with the passages of all rounds."""

    settings_type: ClassVar[type[PolicySettings]] = ThinkqeSettings
    settings: ThinkqeSettings
    _passages: list[str] = field(default_factory=list, init=False)

    async def query(self, state: EpisodeState) -> str | None:
        """The question, as often as the passages' words ask for, and the passages; None once all rounds are made."""
        question, settings = state.question.text, self.settings
        if not state.turns:
            return question
        if len(state.turns) > settings.rounds:
            return None
        prompt = (
            f"{with_pages(state, last_pages(state)[: settings.pages])}\nThe pages may or may not be to the point. "
            "Write a passage that answers the question, in other words than the question's too."
        )
        self._passages += await self.drafts(
            prompt,
            settings.passages,
            max_tokens=settings.passage_tokens,
            temperature=settings.temperature,
        )
        return " ".join(
            [*[question] * repeats(question, self._passages, settings.question_weight), *self._passages]
        )


def repeats(question: str, passages: list[str], weight: float) -> int:
    """How often the question is said beside its passages.

    >>> repeats("two words", ["so many words as these are twelve in all you may count"], 3.0)
    2
    """
    words = sum(len(passage.split()) for passage in passages)
    return max(1, int(words / (weight * max(1, len(question.split())))))
