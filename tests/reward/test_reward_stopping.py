"""What stopping earns, and weights that come in by schedule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_outcomes import answer, configured, malformed, outcome_of, outcomes, search

from drag_rl.types import Enough, Turn
from reward.schedule import ScheduledWeight, beginning, weight_at
from reward.steps import TURN_SCORES
from reward.stopping import gold_at_stop, kept_f1, search_cost
from reward.table import SCORES, RewardConfig, compute_reward


def enough(*pages: str, unknown: tuple[str, ...] = ()) -> Turn:
    return Turn(step=1, text="<enough>", action=Enough(pages=pages, unknown=unknown))


def test_gold_counts_only_where_the_policy_ends_the_episode():
    both, one = search(1, 3), search(2, None)
    assert gold_at_stop(outcome_of([one, enough("doc#1")])) == 0.5
    assert gold_at_stop(outcome_of([one, both, enough("doc#1", "doc#2")])) == 1.0
    assert gold_at_stop(outcome_of([both, answer()])) == 1.0
    assert gold_at_stop(outcome_of([both])) == gold_at_stop(outcome_of([both, malformed()])) == 0.0
    assert gold_at_stop(outcome_of([enough("doc#1")])) == gold_at_stop(outcome_of([])) == 0.0


def test_pages_that_are_kept_are_scored_against_gold():
    found = search(1, 3)
    assert kept_f1(outcome_of([found, enough("doc#1", "doc#2")])) == 1.0
    assert kept_f1(outcome_of([found, enough("doc#1", "doc#9")])) == 0.5
    assert kept_f1(outcome_of([found, enough("doc#1", unknown=("doc#2", "x", "y"))])) == pytest.approx(1 / 3)
    assert kept_f1(outcome_of([found, enough()])) == kept_f1(outcome_of([found, answer()])) == 0.0


def test_each_search_after_the_first_costs_its_share_of_the_budget():
    costs = [
        search_cost(configured(outcome_of([search(1)] * n + [enough()]), enough=True, max_turns=5))
        for n in (0, 1, 2, 4, 5)
    ]
    assert costs == pytest.approx([0, 0, 1 / 3, 1, 1])
    assert search_cost(configured(outcome_of([search(1), search(2)]), max_turns=2)) == 0.0


@settings(max_examples=40)
@given(outcomes())
def test_turn_by_turn_they_sum_to_the_whole(outcome):
    for name in ("gold_at_stop", "search_cost"):
        values = TURN_SCORES[name](outcome)
        assert len(values) == len(outcome.turns)
        assert sum(values) == pytest.approx(SCORES[name](outcome, "best"))


def test_stopping_well_earns_more_than_searching_on_or_stopping_too_early():
    weights = {"gold_at_stop": 1.0, "kept_f1": 0.5, "search_cost": -0.3}
    config = RewardConfig(weights=weights)
    pages = ("doc#1", "doc#2")
    played = {
        "too early": [search(1, None), enough("doc#1")],
        "too late": [search(1, 3), search(5, 6), search(7, 8), enough(*pages)],
        "never": [search(1, 3), search(5, 6), search(7, 8)],
        "well": [search(1, 3), enough(*pages)],
    }
    earned = {
        name: compute_reward(configured(outcome_of(turns), enough=True, max_turns=4), config)
        for name, turns in played.items()
    }
    assert max(earned, key=lambda name: earned[name][0]) == "well"
    assert earned["well"][1]["enough"] == 1.0 and earned["never"][1]["enough"] == 0.0


MEANS = st.lists(st.floats(0, 1), max_size=30).map(lambda means: dict(enumerate(means, start=1)))
SCHEDULES = st.builds(
    ScheduledWeight,
    weight=st.floats(-1, 1),
    from_step=st.integers(1, 9),
    until_plateau_of=st.sampled_from([None, "gold_found"]),
    window=st.integers(1, 4),
    min_gain=st.floats(0, 0.2),
    ramp_steps=st.integers(1, 9),
)


@given(SCHEDULES, MEANS)
def test_a_weight_is_nothing_then_grows_to_its_end_and_never_looks_ahead(config, means):
    weights = [abs(weight_at(step, config, means)) for step in range(1, 60)]
    assert weights == sorted(weights) and weights[-1] <= abs(config.weight)
    assert not any(weights[: config.from_step - 1])
    for step in (1, 5, 20):
        known = {number: mean for number, mean in means.items() if number < step}
        assert weight_at(step, config, means) == weight_at(step, config, known)
    begun = beginning(59, config, means)
    assert (begun is None) == (not any(weights) and config.weight != 0.0) or config.weight == 0.0
    if begun is not None and config.weight:
        assert weights[min(58, begun + config.ramp_steps - 2)] == pytest.approx(abs(config.weight))


def test_it_waits_for_the_plateau():
    config = ScheduledWeight(weight=-0.4, window=3, min_gain=0.01, ramp_steps=4)
    rising = {step: 0.1 * step for step in range(1, 8)}
    assert beginning(8, config, rising) is None
    flat = rising | dict.fromkeys(range(8, 20), 0.7)
    begun = beginning(20, config, flat)
    # The last three steps are 11, 12 and 13 ... all at .7, and so are the three before: 8, 9, 10; at 12 it is 6, 7, 8.
    assert begun == 13
    assert [weight_at(step, config, flat) for step in range(12, 18)] == pytest.approx(
        [0, -0.1, -0.2, -0.3, -0.4, -0.4]
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weight": float("nan")}, "finite number"),
        ({"weight": -1, "until_plateau_of": "x"}, "unknown score 'x'"),
        ({"weight": -1, "ramp_steps": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_schedule_is_refused(options, says):
    with pytest.raises(Exception, match=says):
        ScheduledWeight.from_mapping(options, "x")
