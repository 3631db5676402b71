"""Two steps of GRPO in stock verl that train when to stop: real Ray, vLLM and FSDP, a tiny Qwen3-VL, a real index."""

from __future__ import annotations

import json

import pytest
import training_lab
from learning import check_learning, outcome_of
from training_lab import LEARN, train

from drag_rl.episode import EpisodeConfig
from drag_rl.verl_plugin.schedules import FILE
from reward.schedule import ScheduledWeight, weight_at
from reward.table import RewardConfig, compute_reward

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

WEIGHTS = {"gold_at_stop": 1.0, "kept_f1": 0.5, "deep_rank": 0.25, "rank_score": 0.0, "query_length": 0.0}
COST = {"weight": -0.5, "from_step": 1, "until_plateau_of": None, "ramp_steps": 2}
LATER = {"weight": -0.5, "until_plateau_of": "gold_found", "window": 1, "min_gain": 2.0, "ramp_steps": 4}
"""It waits for one step of each window, and no gain is enough: so it begins with the third step."""


def test_stopping_is_trained_by_its_reward_and_a_cost_that_comes_in(model, data, tmp_path):
    config = EpisodeConfig(
        max_turns=3, snippet_chars=80, think=False, answer=False, enough=True, show_page_ids=False
    )
    stops = training_lab.teach(model, data, tmp_path / "stops", config)
    run = train(
        "grpo",
        model=stops,
        data=data,
        folder=tmp_path / "run",
        options=[
            *LEARN,
            "actor_rollout_ref.rollout.n=8",
            "trainer.total_training_steps=2",
            "trainer.val_before_train=false",
            "drag.episode.answer=false",
            "drag.episode.enough=true",
            "drag.episode.show_page_ids=false",
            f"reward.custom_reward_function.reward_kwargs.weights={yaml(WEIGHTS)}",
            f"drag.shaping.scheduled={{search_cost: {yaml(COST)}, query_length: {yaml(LATER)}}}",
        ],
    )
    assert run.returncode == 0, run.log[-3000:]
    check_learning(run, stops, steps=2)
    rows = run.trajectories()
    # The policy says that it has enough, by numbers that the episode understands.
    said = [outcome.enough for outcome in map(outcome_of, rows) if outcome.enough]
    assert len(said) > len(rows) / 4 and any(enough.pages for enough in said)
    # Each reward is that of the table and the cost of the step.
    for row in rows:
        outcome = outcome_of(row)
        reward, scores = compute_reward(outcome, RewardConfig(weights=WEIGHTS))
        weight = weight_at(row["step"], ScheduledWeight(**COST), {})
        assert row["reward"] == pytest.approx(reward + weight * scores["search_cost"])
    assert run.metric("drag/weight/search_cost") == {1: -0.25, 2: -0.5}
    assert run.metric("drag/weight/query_length") == {1: 0.0, 2: 0.0}
    assert any(row["breakdown"]["search_cost"] for row in rows), "no episode paid for a second search"
    # What a resumed run must know lies beside the checkpoints.
    seen = json.loads((run.folder / "checkpoints" / FILE).read_text())["gold_found"]
    for step in (1, 2):
        found = [row["breakdown"]["gold_found"] for row in rows if row["step"] == step]
        assert seen[str(step)] == pytest.approx(sum(found) / len(found))


def yaml(options) -> str:
    """Options as Hydra's command line takes them."""
    return (
        "{"
        + ", ".join(f"{name}: {'null' if value is None else value}" for name, value in options.items())
        + "}"
    )
