"""Stop when the draft answer repeats and the model is sure of it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from drag_rl.metrics.answers import normalise
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.stopping.drafting import DraftingRule
from drag_rl.policies.stopping.rule import StopSettings


class MarginSettings(StopSettings):
    """Options of the rule."""

    threshold: float = Field(default=0.25, ge=0, le=1)
    """The margin of probability between the likeliest token and the next that must be passed; TASR's value."""
    repeats: bool = True
    """Whether the draft must say what the one before it said; without it the margin alone decides."""


class StopByMargin(DraftingRule):
    """Its confidence is the margin of the draft answer where it repeats the one before, else 0.

    After TASR (arXiv 2606.13814), which stops where the draft repeats and its calibrated logit margin is above .25.
    Read from its abstract: how it calibrates is not known to us. Ours is the mean over the answer's tokens of the
    difference of the two largest probabilities, and the prompt.
    """

    settings_type: ClassVar[type[StopSettings]] = MarginSettings
    settings: MarginSettings
    _before: str | None = None

    async def confidence(self, state: EpisodeState) -> float:
        """The margin, in [0, 1]; 0 for a draft that is new."""
        draft = await self.draft(state)
        before, self._before = self._before, normalise(draft.text)
        return draft.margin if before == self._before or not self.settings.repeats else 0.0
