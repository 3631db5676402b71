"""A foreign retriever and a foreign policy are one file and one line each, and every command plays them."""

from __future__ import annotations

import asyncio
import json

import pytest
from collect_lab import WORDS, command, drag, make_data, model
from fake_openai import FakeServer
from installed import installed

from drag_rl.evaluation.results import read_results
from drag_rl.policies.table import POLICIES
from drag_rl.retrieval import Query, build_index, open_retriever
from drag_rl.retrieval.kinds import INDEX_KINDS
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import Search, StopReason


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("seams"))


@pytest.fixture
def toy(data, tmp_path):
    """An index of a kind that ours do not know, made from the same pages."""
    with installed(tmp_path / "site", INDEX_KINDS, "toy", "toy_retriever:ToyIndex"):
        build_index(data / "pages", tmp_path / "toy", "toy")
        yield tmp_path / "toy"


def evaluated(data, index, output, *more):
    words = ["evaluate", "--questions", data / "questions.parquet", "--index", index, "--output", output]
    return [str(word) for word in (*words, *more)]


def assert_ranked_by(index, trajectories):
    """Every search of the trajectories has the hits and the ranks of this index."""
    retriever = open_retriever(index)
    for trajectory in trajectories:
        gold = trajectory.outcome.question.gold_page_ids
        for turn in trajectory.outcome.searches:
            assert isinstance(turn.action, Search)
            query = Query(text=turn.action.query, track=gold)
            (found,) = asyncio.run(retriever.search([query], len(turn.hits)))
            assert turn.corpus_ranks == found.tracked
            assert [hit.page_id for hit in turn.hits] == [hit.page_id for hit in found.hits]
            assert all(hit.snippet for hit in turn.hits)


@pytest.mark.parametrize("policy", ["raw-question", "feedback", "oracle-words"])
def test_a_foreign_retriever_is_evaluated(data, toy, tmp_path, capsys, policy):
    code, _, err = drag(capsys, *evaluated(data, toy, tmp_path / "r.json", "--policy", policy))
    assert code == 0, err
    results = read_results(tmp_path / "r.json")
    assert results.corpus_pages == len(WORDS) and results.aggregate["success"].value > 0.5
    assert_ranked_by(toy, read_trajectories(tmp_path / "r.trajectories.jsonl"))


def test_a_foreign_retriever_is_collected_from(data, toy, tmp_path, capsys):
    with FakeServer(model) as server:
        code, _, err = drag(capsys, *command(data, server.url, tmp_path / "t.jsonl", "--index", toy))
    assert code == 0, err
    trajectories = list(read_trajectories(tmp_path / "t.jsonl"))
    assert len(trajectories) == len(WORDS) and any(one.outcome.solved for one in trajectories)
    assert_ranked_by(toy, trajectories)


def test_a_prompted_policy_is_one_file_and_one_line(data, tmp_path, capsys):
    """It reads the hits, asks for the next query with log-probabilities, and answers when these say that it is sure."""

    def say(request):
        assert request["logprobs"] is True
        [prompt] = request["messages"]
        word = prompt["content"].partition("the ")[2].partition("?")[0]
        return word if "Found:\ndoc#" in prompt["content"] else WORDS[0]

    def sure_of(request):
        return -0.01 if "Found:\ndoc#" in request["messages"][0]["content"] else -2.0

    given = ("--policy", "refine", "--model", "m", "--samples", "1")
    with (
        installed(tmp_path / "site", POLICIES, "refine", "prompted_policy:Refine"),
        FakeServer(say, log_prob=sure_of) as server,
    ):
        words = evaluated(
            data, data / "index", tmp_path / "r.json", *given, "--base-url", server.url, "--retries", "0"
        )
        code, _, err = drag(capsys, *words)
        assert code == 0, err
        played = list(read_trajectories(tmp_path / "r.trajectories.jsonl"))
        out = tmp_path / "t.jsonl"
        code, _, err = drag(capsys, *command(data, server.url, out, "--policy", "refine"))
        assert code == 0, err
    assert {one.outcome.stop_reason for one in played} == {StopReason.ANSWERED}
    assert [len(one.outcome.turns) for one in played] == [2] * len(WORDS)
    assert read_results(tmp_path / "r.json").policy == "refine"
    config = json.loads((tmp_path / "t.jsonl.manifest.json").read_text())["config"]
    assert (config["policy"], config["model"], config["sampling"]["name"]) == ("refine", "m", "default")


def test_a_policy_that_is_not_there_is_one_line_with_the_choices(data, tmp_path, capsys):
    code, _, err = drag(capsys, *evaluated(data, data / "index", tmp_path / "r.json", "--policy", "wisdom"))
    assert code == 2 and "--policy: unknown policy 'wisdom'; known policies: model, raw-question" in err
