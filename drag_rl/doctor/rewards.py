"""What the run's own reward pays: to good and bad queries of the same question, and to tricks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from drag_rl.doctor.check import Doubt
from drag_rl.doctor.probing import HONEST, probe_rewards
from drag_rl.doctor.searching import rarest_words, spread
from drag_rl.doctor.setup import SetUp
from drag_rl.errors import InputError
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import Baseline, allowed
from drag_rl.policies.baselines.keywords import Keywords
from drag_rl.policies.baselines.raw_question import RawQuestion
from drag_rl.policies.local import LocalPolicy
from drag_rl.policies.play import play
from drag_rl.retrieval.base import Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.types import Question
from reward.table import RewardConfig, compute_reward

REWARDED = 20
"""Questions whose queries are rewarded."""
PROBED = 100
"""Questions that the tricks play."""
EQUAL = 1e-9
"""Rewards that differ by less are equal."""
FLAT = 0.5
"""Where more than this share of the questions pays every query the same, a group teaches seldom."""


class _Once(Baseline):
    """Searches some words once, then answers."""

    def __init__(self, retriever: Retriever, words: str) -> None:
        super().__init__(retriever)
        self._words = words

    async def query(self, state: EpisodeState) -> str | None:
        """The words."""
        return None if state.turns else allowed(self._words, state.config)


QUERIES = ("the question", "without stop words", "its gold page's words", "another page's words")
WITHOUT_TEXT = (
    *QUERIES[:2],
    "its gold page's words (of a page without text, the question)",
    "another page's words (of one without text, another question)",
)


def sample_rewards(asked: Sequence[Question], retriever: Retriever, set_up: SetUp) -> str | Doubt:
    """Reward four searches of each of some questions, from good to useless, as a group of rollouts would be.

    A page that has no text, which an index of page images may find, has no words to search: a question stands for it.
    """
    places = spread(asked, REWARDED)
    groups = [
        [_reward(asked[place], policy, retriever, set_up) for policy in _policies(asked, place, retriever)]
        for place in places
    ]
    means = [fmean(rewards) for rewards in zip(*groups, strict=True)]
    texts = all(rarest_words(retriever.pages, asked[place].gold_page_ids[0]) for place in places)
    names = QUERIES if texts else WITHOUT_TEXT
    paid = ", ".join(f"{name} {mean:.3f}" for name, mean in zip(names, means, strict=True))
    found = f"{_described(set_up.reward)}: {paid}"
    every = [reward for group in groups for reward in group]
    if not all(map(math.isfinite, every)):
        raise InputError(f"{found}; a reward is no finite number: mend the score or its weight")
    if all(abs(reward) < EQUAL for reward in every):
        raise InputError(
            f"{found}; all rewards are zero, so nothing is learnt: do the gold pages belong to this index, and can the "
            "weighted scores be earned at all?"
        )
    if max(every) - min(every) < EQUAL:
        raise InputError(
            f"{found}; all rewards are equal, so nothing is learnt: weigh a score that tells searches apart"
        )
    flat = fmean(max(group) - min(group) < EQUAL for group in groups)
    if flat > FLAT:
        return Doubt(
            f"{found}; {flat:.0%} of the questions pay each of the four the same, and a group of equal rewards teaches "
            "nothing: weigh deep_rank, which grades every rank"
        )
    if means[2] <= means[3]:
        hint = "" if texts else ", and whether the index sees what is asked for: drag search --explain"
        return Doubt(
            f"{found}; a page's own words earn no more than another page's: look at weights and variant{hint}"
        )
    return f"{found}; {1 - flat:.0%} of the questions tell them apart"


def gaming(asked: Sequence[Question], retriever: Retriever, set_up: SetUp) -> str:
    """Whether any known trick earns more than an honest search."""
    chosen = asked[:PROBED]
    rewards = probe_rewards(chosen, retriever, set_up.episode, set_up.reward)
    honest = rewards.pop(HONEST)
    best = max(rewards, key=lambda name: rewards[name])
    if rewards[best] > honest + 0.01:
        raise InputError(
            f"{best!r} earns {rewards[best]:.3f}, an honest search {honest:.3f}: lower drag.episode.max_query_chars or "
            "weigh query_length"
        )
    return (
        f"an honest search earns {honest:.3f}, the best of {len(rewards)} tricks ({best}) {rewards[best]:.3f}"
    )


def _policies(asked: Sequence[Question], place: int, retriever: Retriever) -> list[LocalPolicy]:
    """A policy for each of ``QUERIES``, of the question at a place."""
    pages, question = retriever.pages, asked[place]
    gold = question.gold_page_ids[0]
    other = pages.page_ids[(pages.row(gold) + len(pages) // 2) % len(pages)]
    half_way = (place + len(asked) // 2) % len(asked)
    others = (one.text for one in (*asked[half_way:], *asked[:half_way]) if gold not in one.gold_page_ids)
    return [
        RawQuestion(retriever),
        Keywords(retriever),
        _Once(retriever, rarest_words(pages, gold) or question.text),
        _Once(retriever, rarest_words(pages, other) or next(others, other)),
    ]


def _reward(question: Question, policy: LocalPolicy, retriever: Retriever, set_up: SetUp) -> float:
    outcome, _ = blocking(play(question, policy, retriever, set_up.episode))
    return compute_reward(outcome, set_up.reward)[0]


def _described(reward: RewardConfig) -> str:
    """The weights that count."""
    weights = " ".join(f"{name}={weight:g}" for name, weight in reward.weights.items() if weight)
    sources = f" (own rewards for {', '.join(reward.by_source)})" if reward.by_source else ""
    return f"{weights or 'no score has a weight'}, {reward.variant} search{sources}"
