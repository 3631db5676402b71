"""Stop at the first search after which the gold pages are covered: how much could be gained by stopping well."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import pages_shown
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.stopping.rule import StopRule, StopSettings
from drag_rl.types.coverage import gold_coverage


class OracleStopSettings(StopSettings):
    """Options of the oracle."""

    tunable: ClassVar[str] = PolicySettings.tunable
    stops_only: ClassVar[bool] = False

    threshold: float = Field(default=1.0, gt=0, le=1)
    """The share of the gold pages that is enough; any value up to 1 / their number asks for one of them."""


class OracleStop(StopRule):
    """Knows the gold pages: its confidence is the share of them that was found, and it keeps just those.

    An upper bound for every rule and every trained policy that stops the same searches: none keeps as much with fewer.
    """

    settings_type: ClassVar[type[StopSettings]] = OracleStopSettings

    async def confidence(self, state: EpisodeState) -> float:
        """The share of the gold pages among the top k of the searches so far."""
        return gold_coverage(state.turns, len(state.question.gold_page_ids), state.config.top_k)[-1]

    def stops(self, confidence: float) -> bool:
        """Whether the share that is enough was found."""
        return confidence >= self.settings.threshold

    def kept(self, state: EpisodeState) -> tuple[str, ...]:
        """The gold pages that were shown."""
        gold = set(state.question.gold_page_ids)
        return tuple(page_id for page_id in pages_shown(state) if page_id in gold)
