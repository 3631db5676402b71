"""Guards: what is measured of a batch, and when it warns or stops."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_outcomes import answer, malformed, outcome_of, outcomes, search

from drag_rl.errors import InputError
from drag_rl.files.codec import to_json
from drag_rl.types import Search, Turn
from reward.guards import GUARDS, GuardConfig, Rollout, check, guard_metrics, rollout_from_row

HEALTHY = [
    Rollout("a", 1.0, outcome_of([search(1, query="merge"), answer()])),
    Rollout("a", 0.3, outcome_of([search(7, query="join"), search(3, query="join tables"), answer()])),
]
THOUGHT = "wait let me think " * 30
SICK = [
    Rollout("a", 0.0, outcome_of([malformed()])),
    Rollout(
        "a", 0.0, outcome_of([Turn(step=1, text="", action=Search(query="q" * 500, thought=THOUGHT))] * 2)
    ),
]


def test_a_healthy_batch():
    metrics = guard_metrics(HEALTHY)
    assert metrics["zero_variance_groups"] == metrics["duplicate_queries"] == metrics["malformed"] == 0.0
    assert metrics["turns"] == 2.5
    assert metrics["searches"] == 1.5
    assert metrics["query_chars"] == pytest.approx((5 + 4 + 11) / 3)
    assert metrics["think_repetition"] == 0.0
    assert check(metrics, GuardConfig(), step=100) == ()


def test_a_sick_batch_is_named_in_one_line_each():
    metrics = guard_metrics(SICK)
    config = GuardConfig(stop={"zero_variance_groups": 0.95, "malformed": 0.9})
    findings = check(metrics, config, step=7)
    assert [finding.level for finding in findings] == ["stop", *["warn"] * 5]
    assert findings[0].message == "step 7: zero_variance_groups is 1, above the threshold of 0.95"
    warned = {finding.message.split()[2] for finding in findings}
    assert warned == {
        "zero_variance_groups",
        "duplicate_queries",
        "malformed",
        "think_repetition",
        "query_chars",
    }
    assert check(metrics, config, step=4) == (), "too early to tell"


def test_no_search_at_all():
    idle = [Rollout("a", float(sample), outcome_of([answer()])) for sample in range(4)]
    assert [finding.message for finding in check(guard_metrics(idle), GuardConfig(), step=9)] == [
        "step 9: searches is 0, below the threshold of 0.5"
    ]


def test_correct_trajectories_that_become_unlikely():
    rollouts = [
        Rollout("a", 1.0, outcome_of([search(1)]), logprob=-2.0),
        Rollout("a", 1.0, outcome_of([search(3)]), logprob=-4.0),
        Rollout("a", 0.0, outcome_of([search(9)]), logprob=-9.0),
    ]
    metrics = guard_metrics(rollouts)
    assert metrics["correct_logprob"] == -3.0
    (finding,) = check(metrics, GuardConfig(warn={}, stop={"correct_logprob": -2.5}), step=9)
    assert finding.message == "step 9: correct_logprob is -3, below the threshold of -2.5"


ROLLOUTS = st.builds(Rollout, st.sampled_from("abc"), st.sampled_from([0.0, 0.5, 1.0]), outcomes(), st.none())


@settings(max_examples=40)
@given(st.lists(ROLLOUTS, max_size=6))
def test_metrics_have_constant_keys_and_shares_are_shares(rollouts):
    metrics = guard_metrics(rollouts)
    assert list(metrics) == [name for name in GUARDS if name != "correct_logprob"]
    shares = ("zero_variance_groups", "duplicate_queries", "malformed", "think_repetition")
    assert all(0.0 <= metrics[name] <= 1.0 for name in shares)
    assert all(value >= 0.0 for value in metrics.values())


def test_a_row_of_a_dump_is_a_rollout():
    outcome = HEALTHY[0].outcome
    row = {"uid": "a", "reward": 1, "outcome": json.loads(to_json(outcome))}
    assert rollout_from_row(row) == Rollout("a", 1.0, outcome)
    tokens = {"rollout_log_probs": [-1.0, -8.0, -2.0], "response_mask": [1, 0, 1]}
    assert rollout_from_row(row | tokens).logprob == -1.5
    assert rollout_from_row({**row, "outcome": asdict(outcome)}).outcome == outcome


def test_an_unknown_guard_is_named():
    with pytest.raises(InputError, match="unknown guard 'length'; known guards: zero_variance_groups"):
        GuardConfig.from_mapping({"stop": {"length": 1.0}}, "guards")
