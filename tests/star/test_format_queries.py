"""``drag format`` where a search may hold several queries: they stay one message, as the policy wrote them."""

from __future__ import annotations

import json

import pytest
import trajectory_lab as lab
from format_lab import INDEX, PUMPS, all_rows, build, contents

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.actions import parse_action
from drag_rl.episode.prompt import action_text
from drag_rl.trajectories.rows import trajectory_from_row, trajectory_to_row

QUERIES = ("packing stem", "impeller")


@pytest.mark.parametrize("action_format", ["xml", "tools"])
def test_a_search_of_two_queries_is_learnt_as_one_message(tmp_path, action_format):
    config = EpisodeConfig(action_format=action_format, think=False, queries_per_turn=2, combine="union")
    both = action_text("", "search", "\n".join(QUERIES), config)
    one = action_text("", "search", "cavitation", config)
    answer = action_text("", "answer", "It needs care [pumps#1].", config)
    trajectories = [
        lab.played(INDEX, PUMPS, [both, answer], config),
        lab.played(INDEX, PUMPS, [one, answer], config, sample=1),
    ]
    found, missed = (trajectory.outcome.searches[0] for trajectory in trajectories)
    assert found.action.queries == QUERIES and (found.gold_rank, missed.gold_rank) == (1, 4)
    for trajectory in trajectories:
        row = json.loads(json.dumps(trajectory_to_row(trajectory)))
        assert trajectory_from_row(row) == trajectory
    assert row["iterations"][0]["query"] == "cavitation"

    rows, _ = build(tmp_path, trajectories, config)
    (pair,) = all_rows(rows, "dpo")
    assert (contents(pair, "chosen"), contents(pair, "rejected")) == ([both], [one])
    (best,) = all_rows(rows, "sft_best")
    assert contents(best) == [both]
    assert parse_action(both, action_format, queries_per_turn=2) == found.action
    assert "queries" in str(best["messages"][0]["content"]), "the prompt says that there may be several"
