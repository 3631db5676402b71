"""The measures of ranked retrieval equal trec_eval's, and DeepRetrieval's tiers its table."""

from __future__ import annotations

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Success, nDCG
from reward_outcomes import PAGES, malformed, outcome_of, search

from drag_rl.types import Question
from reward import SCORES
from reward.cutoffs import MEASURES
from reward.ranking import average_precision, ndcg_at, precision_at, recall_at
from reward.tiers import tiered_recall

DEPTH = 60
gold_ranks = st.lists(
    st.none() | st.integers(1, DEPTH), min_size=1, max_size=6, unique_by=lambda r: r or object()
)


def trec(ranks, measures, grades=None):
    """The measures of a ranking of ``DEPTH`` pages, by ir-measures."""
    gold = {rank: f"gold{place}" for place, rank in enumerate(ranks) if rank is not None}
    run = {"q": {gold.get(rank, f"page{rank}"): float(DEPTH - rank) for rank in range(1, DEPTH + 1)}}
    qrels = {"q": {f"gold{place}": grade for place, grade in enumerate(grades or [1] * len(ranks))}}
    found = ir_measures.calc_aggregate(measures, qrels, run)
    return [found[measure] for measure in measures]


@settings(max_examples=60)
@given(gold_ranks, st.integers(1, 20))
def test_equal_to_ir_measures(ranks, cutoff):
    ranks = tuple(ranks)
    hit = SCORES["hit@k"](outcome_of([search(*ranks)], top_k=cutoff), "best")
    ours = [
        ndcg_at(ranks, cutoff),
        recall_at(ranks, cutoff),
        precision_at(ranks, cutoff),
        hit,
        average_precision(ranks),
    ]
    measures = [nDCG @ cutoff, R @ cutoff, P @ cutoff, Success @ cutoff, AP]
    assert ours == pytest.approx(trec(ranks, measures), abs=1e-6)


THEIRS = {"hit": Success, "mrr": RR, "ndcg": nDCG, "recall": R, "precision": P, "map": AP}


@settings(max_examples=60)
@given(gold_ranks, st.data(), st.integers(1, 20))
def test_a_cutoff_of_its_own_equals_ir_measures_with_grades_too(ranks, data, cutoff):
    """``drag_rl.metrics.ranked`` gives ir-measures the same grades; here the formulas of the reward are its equal."""
    assert THEIRS.keys() == MEASURES.keys()
    grades = data.draw(st.lists(st.integers(1, 4), min_size=len(ranks), max_size=len(ranks)))
    question = Question(
        question_id="q", text="?", gold_page_ids=PAGES[: len(ranks)], gold_grades=tuple(grades)
    )
    outcome = outcome_of([search(*ranks)], question=question)
    ours = [SCORES[f"{name}@{cutoff}"](outcome, "best") for name in THEIRS]
    theirs = trec(ranks, [measure @ cutoff for measure in THEIRS.values()], grades)
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_ndcg_gains_the_grade_itself():
    """As trec_eval: (1 + 3/log2(3)) / (3 + 1/log2(3)); with a gain of 2^grade - 1 it would be .710."""
    question = Question(question_id="q", text="?", gold_page_ids=PAGES[:2], gold_grades=(3, 1))
    outcome = outcome_of([search(2, 1)], question=question)
    assert (
        SCORES["ndcg@k"](outcome, "best")
        == SCORES["ndcg@10"](outcome, "best")
        == pytest.approx(0.7967, abs=1e-4)
    )


def test_the_variant_names_the_search():
    outcome = outcome_of([search(9, 3), search(1, 2), search(2, None)])
    assert [SCORES["recall@k"](outcome, variant) for variant in ("first", "best", "last")] == [0.5, 1.0, 0.5]
    assert SCORES["gold_found"](outcome_of([search(1, 9), search(9, 1)]), "first") == 1.0


@pytest.mark.parametrize(
    ("found", "reward"),
    [(7, 5.0), (6, 4.0), (5, 4.0), (4, 3.0), (3, 1.0), (2, 0.5), (1, 0.5), (0, -3.5)],
)
def test_deep_retrieval_tiers_of_tenths(found, reward):
    ranks = (*range(1, found + 1), *([None] * (10 - found)))
    assert tiered_recall(outcome_of([search(*ranks, top_k=10)], top_k=10), "best") == reward


@pytest.mark.parametrize(("golds", "reward"), [(20, 0.1), (21, -3.5)])
def test_deep_retrieval_tiers_below_a_tenth(golds, reward):
    assert tiered_recall(outcome_of([search(1, *([None] * (golds - 1)))]), "best") == reward


def test_a_format_error_costs_4():
    assert tiered_recall(outcome_of([search(1, 2), malformed()]), "best") == -4.0
    assert tiered_recall(outcome_of([]), "best") == -4.0
