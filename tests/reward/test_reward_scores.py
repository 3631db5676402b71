"""Laws of the scores, and of the reward that they make."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reward_outcomes import (
    answer,
    configured,
    malformed,
    outcome_of,
    outcomes,
    rank,
    search,
    searched,
    variants,
)

from drag_rl.types import best_rank
from reward import BOUNDS, SCORES, RewardConfig, compute_reward
from reward.rank import deep_rank, gold_rank, rank_score, reciprocal_rank

DEFAULT = RewardConfig()
FAULTS = {"over_search", "under_search", "duplicate_query", "query_length", "search_cost"}
"""Scores that want a negative weight."""


@given(outcomes(), variants)
def test_every_score_is_within_its_bounds_and_the_keys_never_change(outcome, variant):
    config = RewardConfig(weights=dict.fromkeys(SCORES, 0.25), variant=variant)
    reward, breakdown = compute_reward(outcome, config)
    for name in SCORES:
        least, greatest = BOUNDS[name]
        assert least <= breakdown[name] <= greatest, name
    assert reward == pytest.approx(0.25 * sum(breakdown[name] for name in SCORES))
    assert list(breakdown) == list(compute_reward(outcome_of([]), DEFAULT)[1])
    assert all(type(value) is float for value in breakdown.values())


def test_the_gold_answer_after_the_gold_page_at_rank_1_earns_the_most_of_everything():
    question = replace(outcome_of([]).question, gold_page_ids=("doc#1",), answers=("merged by key",))
    perfect = outcome_of([search(1), answer("Merged by key [doc#1]", "doc#1")], question=question, top_k=1)
    _, breakdown = compute_reward(perfect, DEFAULT)
    greatest = {name: 0.0 if name in FAULTS else BOUNDS[name][1] for name in SCORES} | {"improvement": 0.0}
    greatest["kept_f1"] = 0.0  # an answer keeps no pages
    assert {name: breakdown[name] for name in SCORES} == greatest


@given(outcomes())
def test_nothing_earns_more_than_the_gold_page_at_rank_1_on_the_first_search(outcome):
    perfect = compute_reward(outcome_of([search(1), answer()]), DEFAULT)[0]
    assert compute_reward(outcome, DEFAULT)[0] <= perfect == sum(w for w in DEFAULT.weights.values() if w > 0)


@given(outcomes(), st.data())
def test_a_useless_search_never_raises_the_default_reward_nor_any_rank_score(outcome, data):
    """Useless: no gold page ranks better than it did in some search before."""
    golds = len(outcome.question.gold_page_ids)
    best = [best_rank(tuple(turn.gold_ranks[place] for turn in outcome.searches)) for place in range(golds)]
    useless = [
        data.draw(st.none() | st.integers(found, 10_000)) if found is not None else None for found in best
    ]
    one = [*useless[:1], *([None] * (golds - 1))]  # distinct ranks, whatever was drawn
    turns = [turn for turn in outcome.turns if turn.action.kind != "answer"]
    before = outcome_of(turns, question=outcome.question, top_k=outcome.config.top_k)
    pages = ["doc#29"] * (outcome.config.top_k - 1)
    after = replace(before, turns=(*turns, searched("x", pages, one)))
    assert compute_reward(after, DEFAULT)[0] <= compute_reward(before, DEFAULT)[0]
    if before.searches:
        old, new = (compute_reward(each, DEFAULT)[1] for each in (before, after))
        for name in ("rank_score", "deep_rank", "discounted_best", "ndcg@k", "recall@k", "gold_found"):
            assert new[name] <= old[name] + 1e-12, name


@given(rank, rank, st.integers(1, 10))
def test_a_better_rank_never_scores_less(one, other, top_k):
    better, worse = sorted((one, other), key=lambda value: float("inf") if value is None else value)
    assert rank_score(better, top_k) >= rank_score(worse, top_k)
    assert deep_rank(better) >= deep_rank(worse)
    assert reciprocal_rank(better) >= reciprocal_rank(worse)
    if better != worse:
        assert deep_rank(better) > deep_rank(worse)


@given(outcomes(), st.booleans())
def test_best_is_at_least_first_and_last(outcome, repeat_pages):
    outcome = configured(outcome, repeat_pages=repeat_pages)
    rewards = {
        name: compute_reward(outcome, RewardConfig(variant=name))[0] for name in ("best", "first", "last")
    }
    assert rewards["best"] >= max(rewards["first"], rewards["last"])


def test_the_variant_names_the_search_and_the_best_gold_page_counts():
    outcome = outcome_of([search(9, 3), search(None, 1), search(None, 2)])
    assert [gold_rank(outcome, name) for name in ("first", "best", "last")] == [3, 1, 2]
    assert gold_rank(outcome_of([search(None, None)]), "best") is None
    assert gold_rank(outcome_of([]), "last") is None


def test_what_was_found_stays_found_where_no_later_search_can_list_it_again():
    """With ``repeat_pages=false`` the last search cannot rank a page that the first one listed."""
    found, after = search(1, None), searched("on", ["doc#9", "doc#10"], (None, 80))
    last = RewardConfig(variant="last")
    once = compute_reward(outcome_of([found]), last)
    for read in (gold_rank, SCORES["hit@k"], SCORES["ndcg@k"], SCORES["recall@k"]):
        reading_on = configured(outcome_of([found, after]), repeat_pages=False)
        assert read(reading_on, "last") == read(outcome_of([found]), "last") > 0
        # Where pages are repeated it could have listed it, and did worse.
        assert read(outcome_of([found, after]), "last") in (80, 0)
    assert compute_reward(reading_on, last)[0] == once[0]
    # As long as nothing is found the last search is the last one.
    assert (
        gold_rank(configured(outcome_of([search(7, None), search(9, None)]), repeat_pages=False), "last") == 9
    )


def test_a_later_find_is_worth_less_and_refining_shows():
    outcome = outcome_of([search(7), search(2), search(1)])
    _, breakdown = compute_reward(outcome, DEFAULT)
    assert breakdown["discounted_best"] == pytest.approx(0.9**2)
    assert breakdown["improvement"] == pytest.approx(1 - deep_rank(7))


def test_a_weighted_reward_and_its_breakdown():
    outcome = outcome_of(
        [search(2, None, query="merge Tables"), search(2, None, query="tables merge"), malformed()]
    )
    reward, breakdown = compute_reward(outcome, RewardConfig(weights={"rank_score": 1.0, "format": 0.3}))
    assert reward == 2 / 3 + 0.3 * 2 / 3
    assert breakdown["reciprocal_rank"] == 0.5
    assert breakdown["hit@1"] == 0.0
    assert breakdown["gold_rank"] == 2.0
    assert compute_reward(outcome_of([search(None)]), DEFAULT)[1]["gold_rank"] == 10_000.0
    assert breakdown["hit@k"] == 1.0
    names = ("turns", "searches", "malformed", "duplicate_queries", "answered")
    assert {name: breakdown[name] for name in names} == {
        "turns": 3.0,
        "searches": 2.0,
        "malformed": 1.0,
        "duplicate_queries": 1.0,
        "answered": 0.0,
    }


def test_long_queries_cost_and_ordinary_ones_do_not():
    costs = [
        compute_reward(outcome_of([search(1, query="q" * chars)]), DEFAULT)[0]
        for chars in (8, 160, 380, 600, 9000)
    ]
    assert costs == pytest.approx([1.0, 1.0, 0.95, 0.9, 0.9])
