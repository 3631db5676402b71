"""Credit by turn leaves the policy gradient unbiased though the policy itself ends the episode: by enumeration.

A per-turn baseline can be biased there (verl's issue 7244): one that subtracts the mean of every turn that a rollout
took subtracts more from those that went on, which the policy chose. Here each episode of a small world stands in the
batch as often as it is probable, so that a mean over the batch is an expectation; verl's own estimators get the token
rewards that our replay buffer would give them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from drag_rl.protocol import EpisodeConfig
from drag_rl.types import Answer, Enough, Hit, Outcome, Question, Search, StopReason, Turn
from drag_rl.verl_plugin.shaping import ShapingConfig, token_rewards
from reward.turn_credit import TurnCreditConfig, turn_credits

TURNS = 3
SEARCHES = {(1, False): 3, (2, False): 2, (2, True): 1, (3, False): 1, (3, True): 3}
"""State, of the turn and whether the gold page is found -> quarters of the policy's probability to search."""
ENDS = {
    "answer": TurnCreditConfig(),
    "enough": TurnCreditConfig(weights={"gold_at_stop": 1.0, "search_cost": -0.3}),
}
"""How the policy ends an episode by its own decision, and the credit that it is paid."""
SEARCH, ANSWER, OBSERVATION = 3, 2, 2
"""Tokens; the first one of a message decides which it is, the others follow from it."""


@dataclass(frozen=True)
class Episode:
    """One of the equally probable episodes; choices of states that were not reached make copies of it."""

    outcome: Outcome
    mask: tuple[int, ...]
    decisions: tuple[tuple[tuple[int, bool], float, int], ...]
    """State, derivative of the action's log-probability by the state's logit, and place of the token that decides."""


def episode(draws, ends: str) -> Episode:
    turns, mask, decisions, found = [], [], [], False
    for step, (draw, lucky) in enumerate(draws, start=1):
        state, probability = (step, found), SEARCHES[step, found] / 4
        searches = draw < SEARCHES[state]
        decisions.append((state, float(searches) - probability, len(mask)))
        if searches:
            rank = 1 if lucky else 40
            pages = (Hit(page_id="gold#1" if lucky else f"other#{step}", rank=1, score=1.0),)
            action = {"action": Search(query=f"query {step}"), "hits": pages, "gold_ranks": (rank,)}
            found = found or lucky
        else:
            action = {"action": Answer(text="x") if ends == "answer" else Enough()}
        turns.append(Turn(step=step, text="", **action))
        mask += [1] * (SEARCH if searches else ANSWER)
        if not searches:
            break
        mask += [0] * OBSERVATION * (step < TURNS)
    question = Question(question_id="q", text="?", gold_page_ids=("gold#1",))
    stopped = StopReason.ANSWERED if ends == "answer" else StopReason.ENOUGH
    end = stopped if not searches else StopReason.MAX_TURNS
    config = EpisodeConfig(top_k=1, max_turns=TURNS, answer=ends == "answer", enough=ends == "enough")
    outcome = Outcome(question=question, turns=tuple(turns), stop_reason=end, config=config, corpus_pages=99)
    return Episode(outcome, tuple(mask), tuple(decisions))


@cache
def world(ends: str = "answer") -> list[Episode]:
    every = product(range(4), (False, True))
    return [episode(draws, ends) for draws in product(every, repeat=TURNS)]


@cache
def batch(ends: str = "answer"):
    """Token rewards and mask of the world, padded at the right, ``[episodes, tokens]``."""
    import torch

    episodes = world(ends)
    rewards = token_rewards(
        ["q"] * len(episodes),
        [one.outcome for one in episodes],
        [0.0] * len(episodes),
        [one.mask for one in episodes],
        ShapingConfig(turn_credit=ENDS[ends]),
    )
    padded = [
        torch.nn.utils.rnn.pad_sequence([torch.tensor(row, dtype=torch.float64) for row in rows], True)
        for rows in (rewards, [one.mask for one in episodes])
    ]
    return padded[0], padded[1]


def gradient(advantages) -> np.ndarray:
    """The expected policy gradient by the logit of each state, given each token's advantage."""
    total = dict.fromkeys(SEARCHES, 0.0)
    for one, row in zip(world(), advantages.tolist(), strict=True):
        for state, score, place in one.decisions:
            total[state] += score * row[place] / len(world())
    return np.array(list(total.values()))


def true_gradient(ends: str = "answer") -> np.ndarray:
    """Of the expected sum of credits: every token is paid for all that its episode earned."""
    rewards, mask = batch(ends)
    return gradient(rewards.sum(-1, keepdim=True).expand_as(mask))


def is_parallel(found, wanted) -> bool:
    """Whether two gradients have one direction; normalised advantages change the length alone."""
    return np.allclose(found / np.linalg.norm(found), wanted / np.linalg.norm(wanted), atol=1e-6)


def gae(rewards, mask):
    """With a critic that is wrong, but knows no more than the state."""
    import torch
    from verl.trainer.ppo.core_algos import compute_gae_advantage_return

    values = torch.zeros_like(rewards)
    for row, one in enumerate(world()):
        for (turn, found), _, place in one.decisions:
            values[row, place] = 0.7 * turn - 2.0 * found
            values[row, place + 1 : place + ANSWER] = 0.3 * turn
    return compute_gae_advantage_return(rewards, values, mask, torch.tensor(1.0), torch.tensor(1.0))[0]


def reinforce_plus_plus(rewards, mask):
    from verl.trainer.ppo.core_algos import compute_reinforce_plus_plus_outcome_advantage

    return compute_reinforce_plus_plus_outcome_advantage(rewards, mask, config=SimpleNamespace(gamma=1.0))[0]


def grpo(rewards, mask):
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    group = np.array(["q"] * len(rewards))
    return compute_grpo_outcome_advantage(rewards.clone(), mask, group, norm_adv_by_std_in_grpo=False)[0]


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("estimator", [gae, reinforce_plus_plus, grpo])
def test_the_expected_gradient_is_that_of_the_credits_sum(estimator, ends):
    """Saying ``enough`` is a decision to end like an answer: paid for gold at the stop, it is no more biased."""
    found = gradient(estimator(*batch(ends)))
    assert is_parallel(found, true_gradient(ends))
    if estimator is grpo:
        np.testing.assert_allclose(found, true_gradient(ends), atol=1e-6)


def test_a_baseline_of_each_turn_that_was_taken_would_be_biased():
    """What issue 7244 warns of, and what we do not do: the mean credit of a turn is taken from those who took it."""
    rewards, _ = batch()
    means = [
        np.mean(
            [
                turn_credits(one.outcome, TurnCreditConfig())[turn]
                for one in world()
                if len(one.decisions) > turn
            ]
        )
        for turn in range(TURNS)
    ]
    advantages = rewards.clone()
    for row, one in enumerate(world()):
        credits = turn_credits(one.outcome, TurnCreditConfig())
        for turn, (_, _, place) in enumerate(one.decisions):
            advantages[row, place] = sum(credits[turn:]) - sum(means[turn : len(credits)])
    biased = gradient(advantages)
    assert not is_parallel(biased, true_gradient())
    assert means[1] > 0 and biased[0] < true_gradient()[0], "going on is paid less than it earns"


def test_a_loss_that_is_averaged_over_each_rollouts_tokens_would_be_biased():
    """``loss_agg_mode=seq-mean-token-mean``, for any reward: the policy chooses what its credit is divided by."""
    rewards, mask = batch()
    assert not is_parallel(gradient(grpo(rewards, mask) / mask.sum(-1, keepdim=True)), true_gradient())
