"""Stop when another search no longer changes the answer."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from drag_rl.metrics.answers import token_f1
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.stopping.drafting import DraftingRule
from drag_rl.policies.stopping.rule import StopSettings


class AgreementSettings(StopSettings):
    """Options of the rule."""

    threshold: float = Field(default=0.99, ge=0, le=1)
    """The token F1 of the last two draft answers that must be passed; just below 1 asks for the same words."""


class StopByAgreement(DraftingRule):
    """Its confidence is the token F1 (SQuAD's) of the last two draft answers; 0 while there is but one.

    The first half of TASR's rule (arXiv 2606.13814), which stops where the draft answer repeats. Ours: F1 in place of
    equality, so that there is a threshold, and the prompt.
    """

    settings_type: ClassVar[type[StopSettings]] = AgreementSettings
    _before: str | None = None

    async def confidence(self, state: EpisodeState) -> float:
        """How far the last two drafts agree, in [0, 1]."""
        draft = await self.draft(state)
        before, self._before = self._before, draft.text
        return token_f1(draft.text, [before]) if before else 0.0
