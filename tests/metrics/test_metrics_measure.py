"""Laws of the metrics of trajectories, and episodes whose numbers can be read off."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.metrics.at_cutoffs import asked_metrics
from drag_rl.metrics.generated import METRICS_OF_ANSWERS
from drag_rl.metrics.measure import measure, question_means
from drag_rl.metrics.ranked import HIT_CUTOFFS, NDCG_CUTOFFS, RECALL_CUTOFFS, ranked_metrics
from drag_rl.metrics.stopping import METRICS_OF_STOPS
from drag_rl.metrics.table import HEADLINES, METRICS
from drag_rl.types import Outcome, Question, StopReason, Trajectory


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return lab.make_index(tmp_path_factory.mktemp("measure"))


RANKS = st.lists(st.none() | st.integers(1, 60), min_size=1, max_size=5).filter(
    lambda ranks: len({rank for rank in ranks if rank}) == sum(rank is not None for rank in ranks)
)


@given(st.lists(RANKS.map(tuple), max_size=4))
def test_ranked_metrics_are_their_formulas(rankings):
    for ranks, row in zip(rankings, ranked_metrics(rankings), strict=True):
        found = sorted(rank for rank in ranks if rank)
        assert row["mrr"] == (1 / found[0] if found else 0.0)
        for k in HIT_CUTOFFS:
            assert row[f"hit@{k}"] == float(bool(found) and found[0] <= k)
        for k in RECALL_CUTOFFS:
            assert row[f"recall@{k}"] == pytest.approx(sum(rank <= k for rank in found) / len(ranks))
        for k in NDCG_CUTOFFS:  # of pages that are all of grade 1
            gain = sum(1 / math.log2(1 + rank) for rank in found if rank <= k)
            ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(k, len(ranks)) + 1))
            assert row[f"ndcg@{k}"] == pytest.approx(gain / ideal)


@settings(max_examples=25)
@given(data=st.data())
def test_bounds_and_no_dependence_on_the_order_of_rows(data, index):
    trajectories = data.draw(lab.files_of_trajectories(index))
    rows = measure(trajectories)
    assert all(list(row) == list(METRICS) for row in rows)
    for row in rows:
        for name, value in row.items():
            top = {"share": 1.0, "score": 1.0, "number": math.inf}[METRICS[name].unit]
            assert math.isnan(value) or 0.0 <= value <= top
        assert math.isnan(row["iterations_to_success"]) == (row["success"] == 0.0)
        assert row["first.hit@3"] == row["first_hit_rate"] <= row["success"] == row["best.hit@3"]
        assert row["first.mrr"] <= row["best.mrr"]
        assert row["pooled.hit@20"] == row["success"]
    keyed = [(t.outcome.question.question_id, row) for t, row in zip(trajectories, rows, strict=True)]
    shuffled = random.Random(0).sample(keyed, len(keyed))
    (ids, values), (other_ids, other_values) = question_means(keyed), question_means(shuffled)
    assert ids == other_ids and np.array_equal(values, other_values, equal_nan=True)


def test_the_headlines_of_an_episode_that_finds_the_page_in_its_second_search(index):
    question = lab.QUESTIONS[0]
    first = index.search("seal discharge", 3, question.gold_page_ids, snippet_chars=0).gold_ranks[0]
    assert first is not None and first > 3
    [row] = measure(
        [
            lab.played(
                index,
                question,
                [lab.search("seal discharge"), lab.search("impeller"), lab.answer("x [pumps#1]")],
            )
        ]
    )
    assert {name: row[name] for name in HEADLINES if not math.isnan(row[name])} == {
        "success": 1.0,
        "answer_success": 0.0,
        "iterations": 3.0,
        "iterations_to_success": 2.0,
        "first_hit_rate": 0.0,
        "first.mrr": 1 / first,
        "best.mrr": 1.0,
        "first.hit@1": 0.0,
        "first.hit@3": 0.0,
    }
    assert row["first.gold_rank"] == first and row["best.gold_rank"] == 1.0
    assert row["citation_f1"] == row["citation_precision"] == row["citation_recall"] == 1.0
    assert row["pooled.mrr"] == 1 / 4  # the first new page of the second search
    assert row["completion_tokens"] == 30.0 and row["searches"] == 2.0


def failed(question: Question, pages: int) -> Trajectory:
    outcome = Outcome(
        question=question, turns=(), stop_reason=StopReason.ERROR, config=EpisodeConfig(), corpus_pages=pages
    )
    return Trajectory(outcome=outcome, error="HTTP 500")


def test_a_failed_question_scores_zero_and_stays_in_the_denominator(index):
    won = lab.played(
        index, lab.QUESTIONS[0], [lab.search("impeller"), lab.answer("It needs care. [pumps#1]")]
    )
    rows = measure([won, failed(lab.QUESTIONS[1], len(index))])
    of_some = {metric.name for metric in (*METRICS_OF_ANSWERS, *METRICS_OF_STOPS)}  # of generators, of stops
    zero = [
        name
        for name, metric in METRICS.items()
        if metric.better == "higher" and not metric.of_group and name not in of_some
    ]
    assert {rows[1][name] for name in zero} == {0.0}
    assert rows[1]["iterations"] == rows[1]["searches"] == 4.0
    assert rows[1]["first.gold_rank"] == rows[1]["best.gold_rank"] == len(index)
    _, values_QM = question_means([("a", rows[0]), ("b", rows[1])])
    means = dict(zip(METRICS, values_QM.mean(axis=0), strict=True))
    for name in ("success", "answer_success", "exact_match", "token_f1", "anls", "citation_f1", "answered"):
        assert means[name] == 0.5
    assert means["error_rate"] == 0.5


@pytest.mark.parametrize("not_asked", [{"max_turns": 1}, {"max_turns": 2, "answer": False}])
def test_an_unanswered_question_scores_zero_and_one_that_was_not_asked_to_answer_has_no_score(
    index, not_asked
):
    question = lab.QUESTIONS[0]
    silent = lab.played(index, question, [lab.search("impeller")] * 4)
    config = EpisodeConfig(think=False, **not_asked)
    single = lab.played(index, question, [lab.search("impeller"), lab.search("seal")], config)
    unknown = lab.played(index, replace(question, answers=()), [lab.search("impeller"), lab.answer("x")])
    rows = measure([silent, single, unknown])
    for name in ("answer_success", "exact_match", "anls"):
        assert rows[0][name] == 0.0 and math.isnan(rows[1][name]) and math.isnan(rows[2][name])
    assert rows[0]["answered"] == 0.0 and math.isnan(rows[1]["answered"]) and rows[2]["answered"] == 1.0
    assert (
        rows[0]["citation_f1"] == 0.0 and math.isnan(rows[1]["citation_f1"]) and rows[2]["citation_f1"] == 0.0
    )
    assert rows[0]["duplicate_query_rate"] == 0.75 and rows[1]["duplicate_query_rate"] == 0.0


def test_of_several_gold_pages_the_best_is_a_hit_and_all_are_recalled(index):
    question = replace(lab.QUESTIONS[0], gold_page_ids=("pumps#1", "pumps#2", "lamps#1"))
    says = [lab.search("impeller"), lab.search("seal"), lab.answer("[pumps#1; valves#1]")]
    [row] = measure([lab.played(index, question, says)])
    assert row["success"] == row["first.hit@1"] == row["first.mrr"] == 1.0
    assert row["first.recall@1"] == pytest.approx(1 / 3) and row["pooled.recall@20"] >= 2 / 3
    assert row["citation_precision"] == 0.5 and row["citation_recall"] == pytest.approx(1 / 3)


def test_samples_are_averaged_within_their_question_first(index):
    good, bad = ([lab.search(word), lab.answer("x")] for word in ("impeller", "zebra"))
    one, two = lab.QUESTIONS[:2]
    trajectories = [
        lab.played(index, one, texts, sample=number) for number, texts in enumerate([good, good, good, bad])
    ]
    trajectories.append(lab.played(index, two, bad))
    rows = measure(trajectories)
    ids, values_QM = question_means(
        (t.outcome.question.question_id, row) for t, row in zip(trajectories, rows, strict=True)
    )
    success = dict(zip(ids, values_QM[:, list(METRICS).index("success")], strict=True))
    assert success == {one.question_id: 0.75, two.question_id: 0.0}
    to_success = dict(zip(ids, values_QM[:, list(METRICS).index("iterations_to_success")], strict=True))
    assert to_success[one.question_id] == 1.0 and math.isnan(to_success[two.question_id])


def test_any_cutoff_of_any_measure_of_each_ranking(index):
    question = replace(lab.QUESTIONS[0], gold_page_ids=("pumps#1", "cables#1"), gold_grades=(1, 3))
    played = lab.played(index, question, [lab.search("impeller"), lab.search("seal")])
    more = asked_metrics(["recall@20", "ndcg@2", "map@30", "precision@2", "mrr@1"])
    [row], [plain] = measure([played], more), measure([played])
    assert list(row) == [*METRICS, *(name for name in more if not name.endswith("recall@20"))]
    assert {name: row[name] for name in plain} == pytest.approx(plain, nan_ok=True)
    first, second = played.outcome.searches[0].gold_ranks
    assert first == 1 and second > 2
    gain = 1 / (3 + 1 / math.log2(3))
    assert row["first.ndcg@2"] == pytest.approx(gain)
    assert row["first.map@30"] == pytest.approx((1 + 2 / second) / 2)
    assert (row["first.precision@2"], row["first.mrr@1"]) == (0.5, 1.0)
    assert METRICS["first.ndcg@2"].label == "nDCG@2 (first search)"
    assert "first.ndcg@2" in METRICS and "first.ndcg@2" not in list(METRICS)


@pytest.mark.parametrize("name", ["recall", "recall@0", "recall@1001", "f1@3", "first.recall@3", "mrr"])
def test_what_is_no_measure_at_a_cutoff_is_named(name):
    with pytest.raises(
        InputError, match=f"--metrics {name}: is not NAME@K, such as recall@100, with a name of hit"
    ):
        asked_metrics([name])


def test_a_cutoff_deeper_than_the_index_ranks_is_not_known(index):
    played = lab.played(index, lab.QUESTIONS[0], [lab.search("zebra"), lab.search("impeller")])
    turns = tuple(replace(turn, exact_to=7) for turn in played.outcome.turns)
    [row] = measure([replace(played, outcome=replace(played.outcome, turns=turns))])
    unknown = {name for name, value in row.items() if math.isnan(value)}
    deep = {
        f"{ranking}.{name}" for ranking in ("first", "best") for name in ("hit@10", "recall@20", "ndcg@10")
    }
    assert deep <= unknown
    assert not {"first.hit@5", "best.ndcg@5", "first.mrr", "pooled.hit@20"} & unknown


def test_no_trajectories_give_no_rows():
    assert measure([]) == []
    ids, values_QM = question_means([])
    assert ids == () and values_QM.shape == (0, len(METRICS))
