"""Laws: rewards, metrics and the viewer say the same of an episode, and no measure exceeds its bounds."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import trajectory_lab as lab
from driven import Driven
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_outcomes import outcomes, words

from drag_rl.episode import EpisodeConfig, Observation
from drag_rl.metrics.measure import measure
from drag_rl.metrics.table import METRICS
from drag_rl.questions import question_from_row, question_to_row
from drag_rl.trajectories.rows import trajectory_from_row, trajectory_to_row
from drag_rl.types import Outcome, Search, StopReason, Trajectory
from drag_rl.view.payload import payload
from drag_rl.view.rollout import Rollout
from reward.table import BOUNDS, RewardConfig, compute_reward

OF_ANSWERS = {"exact_match", "token_f1", "anls", "citation_f1", "answered"}
SHARED = OF_ANSWERS | {"answer_in_context", "searches"}


@st.composite
def episodes(draw: st.DrawFn) -> Outcome:
    """Outcomes of any configuration, recorded by this version or an older one, reading on or not."""
    outcome = draw(outcomes())
    turns = []
    for step, turn in enumerate(outcome.turns, start=1):
        texts = tuple(draw(words) for _ in turn.hits)
        given_back = texts if turn.observation else ()
        turns.append(replace(turn, step=step, shown=draw(st.sampled_from([None, given_back]))))
    config = {
        "max_turns": max(1, len(turns), draw(st.integers(1, 6))),
        "answer": draw(st.booleans()),
        "repeat_pages": draw(st.booleans()),
    }
    return replace(outcome, turns=tuple(turns), config=outcome.config.model_copy(update=config))


@settings(max_examples=60)
@given(episodes())
def test_rewards_metrics_and_the_viewer_agree_wherever_they_share_a_name(outcome):
    trajectory = Trajectory(outcome=outcome)
    [metrics] = measure([trajectory])
    rewards = {v: compute_reward(outcome, RewardConfig(variant=v))[1] for v in ("first", "best")}
    assert rewards["best"].keys() & METRICS.keys() == SHARED
    for name in SHARED:
        if not math.isnan(metrics[name]):
            assert rewards["best"][name] == metrics[name], name
        else:
            assert (name in OF_ANSWERS and not outcome.answer_asked) or not outcome.question.answers
    for variant, alias in (("first", "first_hit_rate"), ("best", "success")):
        scores = rewards[variant]
        assert scores["hit@k"] == metrics[alias]
        assert scores["hit@1"] == metrics[f"{variant}.hit@1"]
        assert scores["reciprocal_rank"] == pytest.approx(metrics[f"{variant}.mrr"])
        assert scores["gold_rank"] == metrics[f"{variant}.gold_rank"]
    if outcome.config.top_k == 5:
        assert rewards["first"]["ndcg@k"] == pytest.approx(metrics["first.ndcg@5"])
        assert rewards["first"]["recall@k"] == pytest.approx(metrics["first.recall@5"])
    scores = rewards["best"]
    assert scores["gold_found"] == metrics["gold_covered"]
    assert scores["turns"] == metrics["iterations"]
    if outcome.searches:
        assert scores["duplicate_query"] == metrics["duplicate_query_rate"]
        assert scores["duplicate_queries"] / scores["searches"] == metrics["duplicate_query_rate"]
    if outcome.turns:
        assert scores["malformed"] / scores["turns"] == metrics["malformed_rate"]

    row = trajectory_to_row(trajectory)
    assert row["gt_ever_found"] == bool(metrics["success"])
    assert row["best_rank_score"] == scores["rank_score"]
    [drawn] = payload([Rollout(trajectory=trajectory, source="s", group="g", scores=scores)])["rollouts"]
    assert drawn["found"] == bool(metrics["success"])
    assert (drawn["rank"] or outcome.corpus_pages) == scores["gold_rank"]
    assert drawn["value"] == pytest.approx(scores["rank_score"], abs=1e-6)
    assert sum(turn["repeat"] for turn in drawn["turns"]) == scores["duplicate_queries"]
    cited = [verdict for turn in drawn["turns"] for verdict in turn.get("citations", ())]
    right = sum(gold and shown for _, gold, shown in cited)
    assert 2 * right == pytest.approx(
        scores["citation_f1"] * (len(cited) + len(outcome.question.gold_page_ids))
    )
    assert (drawn["scores"].keys() >= OF_ANSWERS) == outcome.answer_asked


PAGES = st.sampled_from(["pumps#1", "pumps#2", "lamps#1", "valves#3"])


@settings(max_examples=30)
@given(
    st.lists(PAGES, min_size=1, max_size=5),
    st.lists(st.sampled_from(["impeller", "seal filament", "bonnet care"]), min_size=1, max_size=3),
    st.booleans(),
)
def test_no_measure_exceeds_its_bounds_whatever_gold_a_file_names(named, queries, repeat_pages):
    """A file that names a gold page twice gave precision@k of 2.0 and an average precision of 1.5."""
    row = question_to_row(lab.QUESTIONS[0], 0, "test")
    row["reward_model"]["ground_truth"]["page_ids"] = named
    config = EpisodeConfig(
        think=False, repeat_pages=repeat_pages, max_turns=len(queries), answer=False, top_k=1
    )
    outcome = episode_of(question_from_row(row), queries, config)
    in_bounds(outcome)

    line = trajectory_to_row(Trajectory(outcome=outcome))
    gold = outcome.question.gold_page_ids
    line["ground_truth"]["page_ids"] = named
    for turn in line["iterations"]:
        of = dict(zip(gold, turn["gold_ranks"], strict=True))
        turn["gold_ranks"] = [of[page_id] for page_id in named]
    assert trajectory_from_row(json.loads(json.dumps(line))).outcome == outcome, "a file of an older version"


def in_bounds(outcome):
    _, scores = compute_reward(outcome, RewardConfig())
    for name, (least, most) in BOUNDS.items():
        assert least - 1e-9 <= scores[name] <= most + 1e-9, name


def episode_of(question, queries, config):
    episode = Driven(question, lab.shared_index(), config)
    for query in queries:
        reply = episode.step(lab.search(query), "stop")
        if isinstance(reply, Observation):
            episode.commit(reply)
    assert episode.stop_reason is StopReason.MAX_TURNS
    assert all(isinstance(turn.action, Search) for turn in episode.outcome().turns)
    return episode.outcome()
