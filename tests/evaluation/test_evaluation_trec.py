"""The exported files give ir_measures the numbers that we report."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import unquote

import ir_measures
import pytest
import trajectory_lab as lab
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ir_measures import RR
from tiny_corpus import page_of

from data_preprocess.judged_pages import JudgedPages, judged_questions
from data_preprocess.topics import read_topics
from drag_rl.episode import EpisodeConfig
from drag_rl.evaluation.results import score
from drag_rl.evaluation.trec import encoded, ranked_pages, write_trec
from drag_rl.metrics.at_cutoffs import asked_metrics
from drag_rl.metrics.ranked import MEASURES, cutoff_of, measure_at
from drag_rl.metrics.rankings import RANKINGS, best_search
from drag_rl.policies.play import play
from drag_rl.policies.table import POLICIES
from drag_rl.splits import document_of
from drag_rl.types import Trajectory


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return lab.make_index(tmp_path_factory.mktemp("trec"))


def assert_same_numbers(folder, trajectories, index, more=()):
    depth = max(20, *map(cutoff_of, more)) if more else 20
    write_trec(folder, trajectories, index.retriever, depth)
    aggregate, _ = score(trajectories, more=asked_metrics(more))
    measures = {"mrr": RR, **MEASURES, **{name: measure_at(name) for name in more}}
    qrels = list(ir_measures.read_trec_qrels(str(folder / "qrels.txt")))
    for ranking in RANKINGS:
        run = list(ir_measures.read_trec_run(str(folder / f"{ranking}.run")))
        found = ir_measures.calc_aggregate(list(measures.values()), qrels, run)
        for name, measure in measures.items():
            assert aggregate[f"{ranking}.{name}"].value == pytest.approx(found[measure], abs=1e-6)


def even(trajectories):
    """As an evaluation has them: the same samples of every question."""
    first = [replace(trajectory, sample=0) for trajectory in trajectories]
    return list({trajectory.outcome.question.question_id: trajectory for trajectory in first}.values())


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_aggregates_are_those_of_ir_measures_on_the_files(data, index, tmp_path):
    assert_same_numbers(tmp_path, even(data.draw(lab.files_of_trajectories(index))), index)


def test_with_several_samples_each_is_a_query(index, tmp_path):
    words = iter(lab.WORDS * 3)
    trajectories = [
        lab.played(index, question, [lab.search(next(words)), lab.search(next(words))], sample=sample)
        for question in lab.QUESTIONS[:8]
        for sample in range(3)
    ]
    assert_same_numbers(tmp_path, trajectories, index)
    assert "pumps-1/2 0 pumps#1 1\n" in (tmp_path / "qrels.txt").read_text()


def test_what_was_searched_with_the_question_and_without_listed_pages_is_what_the_files_rank(index, tmp_path):
    config = EpisodeConfig(
        max_turns=2, answer=False, think=False, repeat_pages=False, expand_question=True, top_k=2
    )
    trajectories = [
        lab.played(index, question, [lab.search("inspect"), lab.search("replace seal")], config)
        for question in lab.QUESTIONS
    ]
    assert_same_numbers(tmp_path, trajectories, index)
    later = [trajectory for trajectory in trajectories if best_search(trajectory.outcome).step == 2]
    assert later, "no second search is the best: the test shows nothing"
    for trajectory in later:
        question, (first, _) = trajectory.outcome.question, trajectory.outcome.turns
        listed = [hit.page_id for hit in first.hits]
        found = index.search(f"{question.text} replace seal", len(index), snippet_chars=0, without=listed)
        ranked = asyncio.run(ranked_pages(trajectory.outcome, "best", index.retriever))
        assert [hit.page_id for hit in found.hits] == list(ranked)


def test_searches_that_stay_in_a_document_have_runs_of_its_pages(index, tmp_path):
    config = EpisodeConfig(max_turns=3, answer=False, think=False, repeat_pages=False, scope="document")
    trajectories = [
        lab.played(
            index,
            replace(question, document=document_of(question)),
            [lab.search("inspect"), lab.search("seal")],
            config,
        )
        for question in lab.QUESTIONS
    ]
    assert_same_numbers(tmp_path, trajectories, index)


@pytest.mark.parametrize("repeat_pages", [True, False])
@pytest.mark.parametrize("combine", ["rrf", "union", "intersection"])
def test_several_queries_in_one_search_are_one_ranking(index, tmp_path, combine, repeat_pages):
    config = EpisodeConfig(
        max_turns=2, answer=False, think=False, queries_per_turn=2, combine=combine, repeat_pages=repeat_pages
    )
    trajectories = [
        lab.played(
            index,
            question,
            [lab.search(searched) for searched in ("inspect seal\nrotor", "replace\nseal")],
            config,
        )
        for question in lab.QUESTIONS
    ]
    assert all(len(turn.action.queries) == 2 for turn in trajectories[0].outcome.searches)
    assert_same_numbers(tmp_path, trajectories, index)


def test_several_gold_pages_and_ids_with_spaces(index, tmp_path):
    golds = [("pumps#1", "lamps#2"), ("pumps#1", "cables#3", "valves#4"), ("turbines#2",)]
    trajectories = [
        lab.played(
            index,
            replace(lab.QUESTIONS[n], question_id=f"my question\t{n}%", gold_page_ids=gold),
            [lab.search("impeller inspect"), lab.search("blade replace")],
        )
        for n, gold in enumerate(golds)
    ]
    assert_same_numbers(tmp_path, trajectories, index)


def graded_pages(question):
    return dict(zip(question.gold_page_ids, question.grades, strict=True))


def graded(index):
    """Episodes of questions with graded gold pages."""
    golds = {
        ("pumps#1", "lamps#2"): (1, 3),
        ("pumps#1", "cables#3", "valves#4"): (2, 2, 1),
        ("turbines#2",): (4,),
    }
    return [
        lab.played(
            index,
            replace(lab.QUESTIONS[n], question_id=f"graded {n}", gold_page_ids=gold, gold_grades=grades),
            [lab.search("impeller inspect"), lab.search("blade replace")],
        )
        for n, (gold, grades) in enumerate(golds.items())
    ]


def test_graded_gold_at_any_cutoff(index, tmp_path):
    more = ["ndcg@7", "ndcg@40", "recall@100", "map@30", "precision@4", "mrr@2"]
    assert_same_numbers(tmp_path, graded(index), index, more)
    assert "graded%200 0 lamps#2 3\n" in (tmp_path / "qrels.txt").read_text()
    [ranked] = [row for row in score(graded(index))[1] if row.question_id == "graded 0"]
    assert (ranked.gold_page_ids, ranked.gold_grades) == (("pumps#1", "lamps#2"), (1, 3))


def test_what_is_written_is_read_back_as_the_same_questions(index, tmp_path):
    trajectories = graded(index)
    write_trec(tmp_path / "trec", trajectories, index.retriever)
    parts = (page_id.rpartition("#") for page_id in index.page_ids)
    pages = JudgedPages([page_of(document, int(number), "x") for document, _, number in parts], {})
    topics = read_topics(tmp_path / "trec/queries.jsonl")
    for name in ("qrels.txt", "qrels.tsv"):
        path = tmp_path / "trec" / name
        found, dropped = judged_questions(topics, path, pages, data_source="again", drop_unknown=False)
        assert not dropped
        for one, trajectory in zip(found, trajectories, strict=True):
            question = trajectory.outcome.question
            assert (unquote(one.question_id), one.text) == (question.question_id, question.text)
            assert graded_pages(one) == graded_pages(question)
            assert one.grades == tuple(sorted(one.grades, reverse=True))


@pytest.mark.parametrize("name", ["raw-question", "keywords", "feedback", "oracle-depth", "oracle-words"])
def test_baselines_and_oracles_too(name, index, tmp_path):
    config = POLICIES[name].episode(lab.PLAIN)
    trajectories = []
    for question in lab.QUESTIONS:
        policy = POLICIES[name](index.retriever)
        outcome, generations = asyncio.run(play(question, policy, index.retriever, config))
        trajectories.append(Trajectory(outcome=outcome, generations=generations))
    assert_same_numbers(tmp_path, trajectories, index)


@given(st.text(), st.text())
def test_encoded_ids_hold_no_white_space_and_stay_apart(one, other):
    assert encoded(one).split() == ([encoded(one)] if one else [])
    assert (encoded(one) == encoded(other)) == (one == other)
