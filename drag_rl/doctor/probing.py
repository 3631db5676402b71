"""How much the ways of gaming a reward earn on a corpus, beside an honest search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from drag_rl.episode import EpisodeConfig
from drag_rl.policies.play import play
from drag_rl.policies.source import PolicyOptions
from drag_rl.policies.table import policy_source, probes
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.types import Outcome, Question
from reward.table import RewardConfig, compute_reward

HONEST = "raw-question"
"""The policy that no probe may out-earn."""


def probe_rewards(
    questions: Sequence[Question], retriever: Retriever, config: EpisodeConfig, reward: RewardConfig
) -> dict[str, float]:
    """The mean reward of each policy over the questions; ``HONEST`` comes first, then every probe of the table."""
    rewards: dict[str, float] = {}
    for name in (HONEST, *probes()):
        outcomes = outcomes_of(name, questions, retriever, config)
        rewards[name] = fmean(compute_reward(outcome, reward)[0] for outcome in outcomes)
    return rewards


def outcomes_of(
    name: str, questions: Sequence[Question], retriever: Retriever, config: EpisodeConfig
) -> list[Outcome]:
    """One episode of a policy of the table for each question."""

    async def play_all() -> list[Outcome]:
        outcomes = []
        for question in questions:
            outcome, _ = await play(question, policies.new(question, 0), retriever, source.episode(config))
            outcomes.append(outcome)
        return outcomes

    source = policy_source(PolicyOptions(name=name))
    with source.open(retriever, Path(f"{name}.log")) as policies:
        return blocking(play_all())
