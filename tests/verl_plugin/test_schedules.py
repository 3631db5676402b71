"""Weights that come in by schedule, in a training that is killed and resumed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_shaping import mask_of, outcome

from drag_rl.errors import InputError
from drag_rl.verl_plugin.schedules import FILE, Schedules
from drag_rl.verl_plugin.shaping import ShapingConfig, token_rewards
from reward.schedule import ScheduledWeight, weight_at

COST = {"search_cost": ScheduledWeight(weight=-0.5, window=2, min_gain=0.05, ramp_steps=3)}


@settings(max_examples=12)
@given(
    st.lists(st.floats(0, 1), min_size=12, max_size=12),
    st.integers(1, 12),
    st.integers(0, 11),
)
def test_a_resumed_run_has_the_weights_that_it_would_have_had(tmp_path_factory, means, killed_at, back):
    folder = tmp_path_factory.mktemp("state")
    breakdown = lambda step: [{"gold_found": means[step - 1], "search_cost": 1.0}]  # noqa: E731
    whole, first = Schedules(COST, None), Schedules(COST, folder)
    undisturbed = []
    for step in range(1, 13):
        undisturbed.append(whole.rewards(step, breakdown(step)))
        whole.saw(step, breakdown(step))
        if step <= killed_at:
            assert first.rewards(step, breakdown(step)) == undisturbed[-1]
            first.saw(step, breakdown(step))
    again = Schedules(COST, folder)
    for step in range(max(1, killed_at - back), 13):
        assert again.rewards(step, breakdown(step)) == undisturbed[step - 1]
        again.saw(step, breakdown(step))
    assert undisturbed[-1] == [weight_at(12, COST["search_cost"], dict(enumerate(means, start=1)))]


def test_what_is_paid_stands_on_the_last_token_beside_the_reward():
    trace = outcome(5, 2, 1)
    mask = mask_of(trace, [2])
    config = ShapingConfig(scheduled=COST)
    assert config.active
    [row] = token_rewards(["a"], [trace], [0.7], [mask], config, [-0.25])
    assert row[-1] == pytest.approx(0.45) and not any(row[:-1])


def test_where_nothing_is_watched_nothing_is_written(tmp_path):
    fixed = {"search_cost": ScheduledWeight(weight=-0.5, until_plateau_of=None, from_step=2, ramp_steps=1)}
    schedules = Schedules(fixed, tmp_path)
    schedules.saw(1, [{"search_cost": 1.0}])
    assert schedules.at(1) == {"search_cost": 0.0} and schedules.at(2) == {"search_cost": -0.5}
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(InputError, match="'ndcg@10' is not reported; give it a weight"):
        Schedules({"ndcg@10": COST["search_cost"]}, None).rewards(1, [{"search_cost": 1.0}])
    with pytest.raises(InputError, match="unknown score 'x'"):
        ShapingConfig.from_mapping({"scheduled": {"x": {"weight": 1}}}, "drag.shaping")
    (tmp_path / FILE).write_text("[1]")
    with pytest.raises(InputError, match="is no record of watched scores"):
        Schedules(COST, tmp_path)
