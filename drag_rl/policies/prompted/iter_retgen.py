"""Iter-Retgen: the question with the whole answer of the round before is the next query.

Source: Shao et al. 2023, "Enhancing Retrieval-Augmented Large Language Models with Iterative Retrieval-Generation
Synergy" (arXiv 2305.15294).

The paper's: round 1 searches the question; each round generates a whole answer from what its search found, and the
next searches that answer with the question; the last answer counts. Ours: no worked examples, a short answer with its
reasons in place of a chain of thought, 2 rounds unless told otherwise (the paper gains little beyond), and no more
searches than the episode allows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.prompted.reading import last_pages, one_line, with_pages
from drag_rl.policies.settings import PolicySettings


class IterRetgenSettings(PolicySettings):
    """Settings of Iter-Retgen."""

    rounds: int = Field(default=2, ge=1, le=100)
    """Searches, each followed by an answer, at most."""
    answer_tokens: int = Field(default=128, ge=1)
    """Tokens of an answer, at most."""


@dataclass(kw_only=True)
class IterRetgen(Prompted):
    """The question, then the question with the last answer."""

    settings_type: ClassVar[type[PolicySettings]] = IterRetgenSettings
    settings: IterRetgenSettings
    _answers: list[str] = field(default_factory=list, init=False)

    async def query(self, state: EpisodeState) -> str | None:
        """The last answer and the question; None once all rounds are made."""
        if not state.turns:
            return state.question.text
        if len(state.turns) >= self.settings.rounds:
            return None
        return f"{await self._generate(state)} {state.question.text}".strip()

    async def answer(self, state: EpisodeState) -> str:
        """The answer of the last round."""
        return await self._generate(state)

    async def _generate(self, state: EpisodeState) -> str:
        if len(self._answers) < len(state.turns):
            prompt = f"{with_pages(state, last_pages(state))}\nAnswer the question from these pages, with the reasons."
            draft = await self.draft(prompt, max_tokens=self.settings.answer_tokens)
            self._answers.append(one_line(draft.text))
        return self._answers[-1] if self._answers else ""
