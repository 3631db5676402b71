"""An index that ranks only so far says so, and what it does not know is neither paid nor measured as a miss."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, replace

import pytest
import trajectory_lab as lab

from drag_rl.errors import InputError
from drag_rl.files.codec import from_json, to_json
from drag_rl.metrics.measure import measure
from drag_rl.policies.play import play
from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.base import Retriever
from drag_rl.trajectories.rows import parse_row, write_row
from drag_rl.types import Outcome, Trajectory
from reward import RewardConfig, compute_reward

DEPTH = 4


@dataclass
class Bounded:
    """The best four pages of another retriever, which is all that this one ranks."""

    whole: Retriever
    fingerprint: str = "bounded"

    @property
    def pages(self) -> PageTexts:
        return self.whole.pages

    async def search(self, queries, top_k):
        found = await self.whole.search(queries, min(top_k, DEPTH))
        return [
            replace(
                ranking,
                tracked=tuple(rank if rank and rank <= DEPTH else None for rank in ranking.tracked),
                exact_to=DEPTH,
            )
            for ranking in found
        ]


def played(gold: tuple[str, ...], query: str) -> Trajectory:
    retriever = Bounded(lab.shared_index().retriever)
    question = replace(lab.QUESTIONS[0], gold_page_ids=gold, gold_grades=(2,) * len(gold))
    outcome, generations = asyncio.run(
        play(question, lab.Script([lab.search(query)], lab.PLAIN), retriever, lab.PLAIN)
    )
    return Trajectory(outcome=outcome, generations=generations)


def test_the_bound_and_the_grades_go_wherever_an_episode_goes():
    trajectory = played(("pumps#1", "lamps#4"), "impeller")
    outcome = trajectory.outcome
    assert outcome.searches[0].exact_to == DEPTH and outcome.searches[0].gold_ranks == (1, None)
    assert parse_row(write_row(trajectory), "here") == trajectory
    assert from_json(Outcome, to_json(outcome)) == outcome, "as verl hands it on"
    assert outcome.question.grades == (2, 2)


def test_rows_of_older_versions_have_neither():
    trajectory = played(("pumps#1",), "impeller")
    row = json.loads(write_row(trajectory))
    del row["ground_truth"]["grades"]
    for iteration in row["iterations"]:
        del iteration["exact_to"]
    read = parse_row(json.dumps(row), "here").outcome
    assert read.question == replace(trajectory.outcome.question, gold_grades=())
    assert {turn.exact_to for turn in read.turns} == {None}
    row["ground_truth"]["grades"] = [2, 2]
    with pytest.raises(InputError, match=r"here: outcome\.question.* has 2 grades for 1 gold pages"):
        parse_row(json.dumps(row), "here")


def test_rewards_refuse_and_metrics_leave_out_what_is_not_known():
    found, lost = played(("pumps#1",), "impeller"), played(("lamps#4",), "impeller")
    config = RewardConfig(weights={"recall@10": 1.0})
    assert compute_reward(found.outcome, config)[0] == 1.0
    with pytest.raises(InputError, match="score 'recall@10': this index ranks pages down to 4 only"):
        compute_reward(lost.outcome, config)
    rows = measure([found, lost])
    assert [math.isnan(row["first.recall@10"]) for row in rows] == [True, True]
    assert [row["first.hit@3"] for row in rows] == [1.0, 0.0]
