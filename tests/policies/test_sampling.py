"""The sampling table has the seeds' values; every message has its own seed."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from drag_rl.cli.rollout_options import SamplingName
from drag_rl.policies.server.sampling import SAMPLINGS, message_seed

ids = st.text(max_size=8)
numbers = st.integers(0, 1000)


def test_the_table():
    assert {name: (s.temperature, s.top_p) for name, s in SAMPLINGS.items()} == {
        "greedy": (0.0, 1.0),
        "low_temp": (0.3, 0.9),
        "default": (0.7, 0.95),
        "high_temp": (1.0, 0.95),
        "creative": (1.2, 0.95),
        "diverse": (0.9, 0.98),
    }
    assert {name for name, s in SAMPLINGS.items() if s.repetition_penalty != 1.0} == {"diverse"}
    assert SAMPLINGS.listed() in get_args(SamplingName)[1].help


@given(ids, numbers, numbers)
def test_seeds_differ_in_every_argument_and_fit_every_server(question_id, sample, turn):
    near = {
        message_seed(seed, name, a, b)
        for seed in (0, 1)
        for name in (question_id, question_id + "x")
        for a in (sample, sample + 1)
        for b in (turn, turn + 1)
    }
    assert len(near) == 16
    assert all(0 <= seed < 2**31 for seed in near)
