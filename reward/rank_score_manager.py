"""verl's reward manager for searches: the thin shell around :func:`reward.table.compute_reward`.

Chosen by ``reward.reward_manager.source=importlib`` with ``module.path=pkg://reward.rank_score_manager``; its weights
and variant are ``reward.custom_reward_function.reward_kwargs``.
"""

from __future__ import annotations

from typing import Any

from verl import DataProto
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from drag_rl.files.codec import from_json
from drag_rl.types import Outcome
from reward.table import RewardConfig, compute_reward


class RankScoreRewardManager(RewardManagerBase):  # type: ignore[misc]
    """Rewards the trace of an episode, never its text."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any) -> None:
        super().__init__(config, tokenizer, compute_score)
        self.reward_config = RewardConfig.from_mapping(
            config.reward.custom_reward_function.get("reward_kwargs"),
            "reward.custom_reward_function.reward_kwargs",
        )
        self.sources: set[str] = set()
        """Sources that a question had so far."""

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The reward of one trajectory and its unweighted breakdown, under keys that never change."""
        outcome = from_json(Outcome, data[-1].non_tensor_batch["tool_extra_fields"]["outcome"])
        self._say_once(outcome.question.data_source)
        reward, breakdown = compute_reward(outcome, self.reward_config)
        return {"reward_score": reward, "reward_extra_info": breakdown}

    def _say_once(self, data_source: str) -> None:
        """Tell which reward the questions of a source have, if any source has one of its own."""
        if not self.reward_config.by_source or data_source in self.sources:
            return
        self.sources.add(data_source)
        weights, variant = self.reward_config.of(data_source)
        own = "its own" if data_source in self.reward_config.by_source else "the general one"
        shown = " ".join(f"{name}={weight:g}" for name, weight in weights.items() if weight)
        print(  # noqa: T201 (verl's log is its workers' standard output)
            f"[reward] questions of {data_source!r} have {own}: {shown} ({variant} search)", flush=True
        )
