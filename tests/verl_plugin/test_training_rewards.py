"""Rewards in real training: what is shaped or filtered is what the trainer sees."""

from __future__ import annotations

import json

import pytest
from learning import check_learning
from training_lab import GROUPS_OF_4, GROUPS_OF_8, LEARN, TWO_STEPS, train

from drag_rl.codec import from_json
from drag_rl.types import Outcome
from reward.table import RewardConfig, compute_reward
from reward.turn_credit import TurnCreditConfig, turn_credits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

GAINS = TurnCreditConfig(weights={"rank_score_gain": 0.5, "deep_rank_gain": 0.5})


def unshaped(row) -> float:
    """The default reward of a dumped trajectory."""
    return compute_reward(from_json(Outcome, json.dumps(row["outcome"])), RewardConfig())[0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("turn_credit", ["drag.shaping.turn_credit={weights:{rank_score_gain:0.5,deep_rank_gain:0.5}}"]),
        ("group", ["drag.shaping.group.combine=multiply"]),
    ],
)
def test_shaped_rewards_reach_the_trainer(model, data, tmp_path, name, options):
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            *LEARN,
            *options,
            *GROUPS_OF_8,
            *TWO_STEPS,
        ],
    )
    check_learning(run, model, steps=2)
    rows = run.trajectories()
    for step in (1, 2):
        # What the trainer saw is what the dump says, and what the dump says is what the traces earn.
        mine = [row for row in rows if row["step"] == step]
        mean = sum(row["reward"] for row in mine) / len(mine)
        assert run.metric("critic/score/mean")[step] == pytest.approx(mean, abs=1e-5)
    assert "guard/zero_variance_groups" in run.log
    if name == "turn_credit":
        placed = 0
        for row in rows:
            mask = row["response_mask"]
            ends = [i for i, own in enumerate(mask) if own and (i + 1 == len(mask) or not mask[i + 1])]
            earned = turn_credits(from_json(Outcome, json.dumps(row["outcome"])), GAINS)
            assert [row["rm_scores"][end] for end in ends] == pytest.approx(list(earned))
            assert sum(map(abs, row["rm_scores"])) == pytest.approx(sum(map(abs, earned)))
            placed += sum(1 for end in ends[:-1] if row["rm_scores"][end])
        assert placed, "no turn before the last earned anything"
    else:
        changed = [row for row in rows if abs(row["reward"] - unshaped(row)) > 1e-6]
        assert changed, "no group had two rollouts that found the same"


def test_groups_without_variance_are_filtered_by_verls_own_switch(model, data, tmp_path):
    run = train(
        "grpo",
        model=model,
        data=data,
        folder=tmp_path / "run",
        options=[
            "algorithm.filter_groups.enable=true",
            "algorithm.filter_groups.metric=rank_score",
            *GROUPS_OF_4,
            *TWO_STEPS,
        ],
    )
    assert run.returncode == 0, run.log[-3000:]
    groups = {}
    for row in run.trajectories():
        groups.setdefault((row["step"], row["uid"]), set()).add(row["breakdown"]["rank_score"])
    assert {step for step, _ in groups} == {1, 2}
    assert len(groups) == 8
    assert all(len(scores) > 1 for scores in groups.values())
    assert "filter_groups/evicted_samples" in run.log, "nothing had to be filtered: the test shows nothing"
