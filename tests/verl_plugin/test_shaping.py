"""Rewards by turn and by group: the places of tokens, sums, and what stays as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.protocol import EpisodeConfig
from drag_rl.types import Answer, Hit, Outcome, Question, Search, StopReason, Turn
from drag_rl.verl_plugin.shaping import ShapingConfig, token_rewards
from reward.table import RewardConfig, compute_reward
from reward.turn_credit import TurnCreditConfig, turn_credits


def outcome(*ranks: int, pages: str = "abc") -> Outcome:
    """One search a rank, each on the pages of its own letter, then an answer."""
    turns = [
        Turn(
            step=step,
            text=f"<search>{rank}</search>",
            action=Search(query=f"query {rank} {pages}"),
            hits=tuple(Hit(page_id=f"{pages}{rank}#{n}", rank=n, score=1.0) for n in (1, 2, 3)),
            gold_ranks=(rank,),
        )
        for step, rank in enumerate(ranks, start=1)
    ]
    turns.append(Turn(step=len(turns) + 1, text="<answer>x</answer>", action=Answer(text="x")))
    return Outcome(
        question=Question(question_id="q", text="?", gold_page_ids=("gold#1",)),
        turns=tuple(turns),
        stop_reason=StopReason.ANSWERED,
        config=EpisodeConfig(max_turns=9),
        corpus_pages=100,
    )


def mask_of(trace: Outcome, widths) -> list[int]:
    """Policy tokens of each turn and observation tokens between them; nothing after the last."""
    mask = []
    for position, _ in enumerate(trace.turns):
        mask += [1] * widths[position % len(widths)] + [0] * (position + 1 < len(trace.turns)) * 2
    return mask


GAINS = TurnCreditConfig(weights={"rank_score_gain": 0.5, "deep_rank_gain": 0.5})


@given(st.lists(st.integers(1, 100), min_size=1, max_size=5), st.lists(st.integers(1, 4), min_size=1))
def test_credit_stands_where_each_turn_ends_and_sums_to_the_reward(ranks, widths):
    trace = outcome(*ranks)
    mask = mask_of(trace, widths)
    reward, _ = compute_reward(trace, RewardConfig())
    (row,) = token_rewards(["a"], [trace], [reward], [mask], ShapingConfig(turn_credit=GAINS))
    ends = [i for i, own in enumerate(mask) if own and (i + 1 == len(mask) or not mask[i + 1])]
    assert [row[end] for end in ends] == list(turn_credits(trace, GAINS))
    assert all(value == 0 for i, value in enumerate(row) if i not in ends)
    assert sum(row) == pytest.approx(reward)


def test_without_shaping_the_reward_stands_on_the_last_token():
    traces = [outcome(1), outcome(5, 2)]
    masks = [mask_of(trace, [2]) for trace in traces]
    rows = token_rewards(["a", "a"], traces, [0.7, 0.3], masks, ShapingConfig())
    assert [row[-1] for row in rows] == [0.7, 0.3]
    assert [sum(row) for row in rows] == [0.7, 0.3]
    assert not ShapingConfig().active


def test_rollouts_that_did_the_same_earn_less_than_one_that_differs():
    traces = [outcome(1, pages="x"), outcome(1, pages="x"), outcome(1, pages="y")]
    masks = [mask_of(trace, [1]) for trace in traces]
    shaping = ShapingConfig.from_mapping({"group": {"combine": "multiply"}}, "drag.shaping")
    same, equal, other = (sum(row) for row in token_rewards(["a"] * 3, traces, [1.0] * 3, masks, shaping))
    assert same == equal < other == 1.0


def test_groups_do_not_see_each_other_and_a_group_of_one_keeps_its_reward():
    traces = [outcome(1, pages="x"), outcome(1, pages="x")]
    masks = [mask_of(trace, [1]) for trace in traces]
    shaping = ShapingConfig.from_mapping({"group": {"combine": "multiply"}}, "drag.shaping")
    rows = token_rewards(["a", "b"], traces, [0.5, 0.25], masks, shaping)
    assert [sum(row) for row in rows] == [0.5, 0.25]


def test_group_and_turn_credit_go_together():
    traces = [outcome(5, 1, pages="x"), outcome(5, 1, pages="x"), outcome(2, pages="y")]
    masks = [mask_of(trace, [2]) for trace in traces]
    both = ShapingConfig.from_mapping(
        {"turn_credit": {"weights": {"rank_score_gain": 1.0}}, "group": {"combine": "multiply"}},
        "drag.shaping",
    )
    rows = token_rewards(["a"] * 3, traces, [0.0] * 3, masks, both)
    assert rows[0] == rows[1]
    assert sum(rows[0]) < 1.0
    assert sum(rows[2]) == pytest.approx(2 / 3)


def test_a_mask_of_other_turns_is_refused():
    with pytest.raises(ValueError, match="2 turns has 1 runs"):
        token_rewards(["a"], [outcome(1)], [1.0], [[1, 1, 1]], ShapingConfig(turn_credit=GAINS))
