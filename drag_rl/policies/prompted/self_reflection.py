"""Self-reflection: the model judges whether to search, what is relevant, and whether its draft is supported.

Source: Asai et al. 2024, "Self-RAG: Learning to Retrieve, Generate, and Critique through Self-Reflection" (arXiv
2310.11511). The original model is trained to write its judgements as tokens of their own; this does without.

The paper's: search if the share of "yes" for "retrieve?" is above 0.2; draft an answer from each page; take the draft
of the best ``exp(mean log-probability) + relevant + supported + useful``. Ours: each judgement is a question of its own
to an untrained model, its value ``P(yes) / (P(yes) + P(no))`` of the first token; all three weigh 1; and where the
original goes on to its next segment, this stops once the best draft is supported, and else searches the question with
that draft. Each page found costs four short calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from statistics import fmean
from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.at_once import at_once
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.prompted.reading import last_pages, one_line, with_pages
from drag_rl.policies.settings import PolicySettings
from drag_rl.types import Hit


class SelfReflectionSettings(PolicySettings):
    """Settings of self-reflection."""

    tunable: ClassVar[str] = "supported"
    stops_only: ClassVar[bool] = True

    supported: float = Field(default=0.5, ge=0, le=1)
    """It stops once its best draft is supported with a probability above it; 1 never stops."""
    retrieve: float = Field(default=0.2, ge=0, le=1)
    """It searches at all if the model would with a probability above it."""
    draft_tokens: int = Field(default=64, ge=1)
    """Tokens of a draft, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A draft that was written from one page, and what the model thinks of it."""

    text: str
    page_id: str
    score: float
    """Mean probability of its tokens, and its three judgements, added up; in [0, 4]."""
    supported: float
    """In [0, 1]."""


@dataclass(kw_only=True)
class SelfReflection(Prompted):
    """The question, then the question with the best draft, until that is supported by its page."""

    settings_type: ClassVar[type[PolicySettings]] = SelfReflectionSettings
    settings: SelfReflectionSettings
    _judged: list[Judged] = field(default_factory=list, init=False)
    _turns_judged: int = field(default=0, init=False)

    async def query(self, state: EpisodeState) -> str | None:
        """The question, with the best draft from the last search; None once that draft is supported."""
        if not state.turns:
            prompt = (
                f"{with_pages(state, ())}\nMust one look into the manuals to answer this? Answer yes or no."
            )
            wanted = await self.probability_of_yes(prompt)
            return state.question.text if wanted > self.settings.retrieve else None
        best = await self._judge(state)
        if best is None:
            return None
        self.signal = best.supported
        return None if best.supported > self.settings.supported else f"{state.question.text} {best.text}"

    async def answer(self, state: EpisodeState) -> str:
        """The best draft of all; without a page, what the model answers from memory."""
        await self._judge(state)
        if self._judged:
            return max(self._judged, key=lambda judged: judged.score).text
        return await self.read_answer(state, ())

    def cited(self, state: EpisodeState) -> str | None:
        """The page of the best draft."""
        del state
        return max(self._judged, key=lambda judged: judged.score).page_id if self._judged else None

    async def _judge(self, state: EpisodeState) -> Judged | None:
        """Judge the pages of the last search, once; the best of them."""
        pages = last_pages(state)
        if self._turns_judged < len(state.turns):
            self._turns_judged = len(state.turns)
            self._judged += await at_once(self._draft(state, page) for page in pages)
        return max(
            self._judged[len(self._judged) - len(pages) :], key=lambda judged: judged.score, default=None
        )

    async def _draft(self, state: EpisodeState, page: Hit) -> Judged:
        shown = with_pages(state, [page])
        draft = await self.draft(
            f"{shown}\nAnswer the question from this page, in one sentence.",
            max_tokens=self.settings.draft_tokens,
            top=1,
        )
        text = one_line(draft.text)
        relevant = await self.probability_of_yes(
            f"{shown}\nIs the page relevant to the question? Answer yes or no."
        )
        supported = await self.probability_of_yes(
            f"{shown}Answer: {text}\n\nDoes the page support this answer? Answer yes or no."
        )
        useful = await self.probability_of_yes(
            f"{with_pages(state, ())}Answer: {text}\n\nIs this a useful answer to the question? Answer yes or no."
        )
        likely = exp(fmean(min(0.0, token.log_prob) for token in draft.tokens)) if draft.tokens else 0.0
        score = likely + relevant + supported + useful
        return Judged(text=text, page_id=page.page_id, score=score, supported=supported)
