"""A queue in which nothing moves any more is noticed, by a clock that the test turns."""

from __future__ import annotations

import pytest

from drag_rl.verl_plugin.stall import StallTimer


def test_a_state_that_stays_too_long_ends_the_run_and_one_that_changes_does_not():
    now = [0.0]
    stall = StallTimer(10, clock=lambda: now[0])
    for second, state in ((0, "a"), (9, "a"), (11, "b"), (21, "b")):
        now[0] = second
        stall.look(state)
    now[0] = 22
    with pytest.raises(RuntimeError, match=r"^no rollout moved for 10 s: .*; state: b$"):
        stall.look("b")


def test_a_new_batch_starts_the_time_anew():
    now = [0.0]
    stall = StallTimer(10, clock=lambda: now[0])
    stall.look("a")
    now[0] = 100
    stall.restart()
    stall.look("a")
    now[0] = 105
    stall.look("a")
