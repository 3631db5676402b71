"""Evaluating and comparing through the console command, against a real HTTP server with a script for a model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import ir_measures
import pytest
import trajectory_lab as lab
from fake_openai import Failure, FakeServer
from ir_measures import RR, R

from drag_rl.cli.main import main
from drag_rl.evaluation.results import read_results
from drag_rl.questions import write_questions
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import Question


def drag(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    lab.make_index(folder)
    write_questions(folder / "questions.test.parquet", lab.QUESTIONS, "test")
    write_questions(folder / "questions.val.parquet", lab.QUESTIONS[:5], "val")
    return folder


def of(data, split="test"):
    return "--questions", data / f"questions.{split}.parquet", "--index", data / "index"


def asks_for_the_word(request):
    """Searches for the word that the question names, then answers."""
    messages = request["messages"]
    if messages[-1]["content"].startswith("<information>"):
        return "<answer>It needs care. [pumps#1]</answer>"
    question = next(message["content"] for message in messages if message["role"] == "user")
    return f"<search>{re.search('the ([a-z]+)[?]', question).group(1)}</search>"


def at(server, model="m"):
    return "--model", model, "--base-url", server.url


def test_a_model_at_a_server_is_evaluated_and_a_second_run_asks_nothing_more(data, tmp_path, capsys):
    output = tmp_path / "results" / "model.json"
    with FakeServer(asks_for_the_word) as server:
        assert drag("evaluate", *of(data), "--output", output, *at(server), "--trec", tmp_path / "trec") == 0
        asked = len(server.requests)
        assert asked == 2 * len(lab.QUESTIONS)
        assert server.requests[0]["temperature"] == 0.0
        before = read_results(output)
        assert drag("evaluate", *of(data), "--output", output, *at(server)) == 0
        assert (
            len(server.requests) == asked and replace(read_results(output), seconds=before.seconds) == before
        )
    assert "Success Rate" in capsys.readouterr().out
    results = read_results(output)
    assert (results.policy, results.model, results.split, results.corpus_pages) == ("model", "m", "test", 20)
    assert results.aggregate["success"].value == 1.0 and results.aggregate["answer_success"].value == 1.0
    assert results.aggregate["citation_f1"].value == pytest.approx(1 / len(lab.QUESTIONS))
    assert results.aggregate["completion_tokens"].n == len(lab.QUESTIONS)
    assert results.config["episode"]["max_turns"] == 4 and results.config["sampling"]["name"] == "greedy"
    assert {"questions", "index", "question_set"} <= results.fingerprints.keys()
    assert results.versions["ir-measures"] != "absent"
    qrels = ir_measures.read_trec_qrels(str(tmp_path / "trec" / "qrels.txt"))
    run = ir_measures.read_trec_run(str(tmp_path / "trec" / "first.run"))
    assert ir_measures.calc_aggregate([RR], qrels, run)[RR] == pytest.approx(
        results.aggregate["first.mrr"].value
    )


def test_a_run_that_died_goes_on_and_ends_as_if_it_had_not(data, tmp_path):
    whole, torn = tmp_path / "whole.json", tmp_path / "torn.json"
    with FakeServer(asks_for_the_word) as server:
        for output in (whole, torn):
            assert drag("evaluate", *of(data), "--output", output, *at(server)) == 0
        kept = tmp_path / "torn.trajectories.jsonl"
        lines = kept.read_bytes().splitlines(keepends=True)
        kept.write_bytes(b"".join(lines[:7]) + lines[7][:100])
        torn.unlink()
        asked = len(server.requests)
        assert drag("evaluate", *of(data), "--output", torn, *at(server)) == 0
        assert len(server.requests) - asked == 2 * (len(lab.QUESTIONS) - 7)
    one, two = (without_times(read_results(output)) for output in (whole, torn))
    assert one.rows == two.rows and one.aggregate == two.aggregate


def without_times(results):
    """Results but for how long it took."""
    rows = (
        replace(
            row,
            metrics=row.metrics | {"message_seconds": None},
            samples=tuple(
                replace(sample, uses=tuple(replace(use, seconds=0.0) for use in sample.uses))
                for sample in row.samples
            ),
        )
        for row in results.rows
    )
    aggregate = {name: value for name, value in results.aggregate.items() if name != "message_seconds"}
    return replace(results, rows=tuple(rows), aggregate=aggregate)


def test_failed_episodes_score_zero_until_they_are_played_again(data, tmp_path, capsys):
    output = tmp_path / "r.json"

    def say(request):
        failing = "about the impeller" in str(request["messages"])
        return Failure(status=400, message="no") if failing else asks_for_the_word(request)

    with FakeServer(say) as server:
        assert drag("evaluate", *of(data), "--output", output, *at(server)) == 0
    results = read_results(output)
    n = len(lab.QUESTIONS)
    assert results.aggregate["success"].value == pytest.approx((n - 1) / n)
    assert results.aggregate["success"].n == n
    assert results.aggregate["error_rate"].value == pytest.approx(1 / n)
    assert "5.0 % of the episodes failed" in capsys.readouterr().out
    with FakeServer(asks_for_the_word) as server:
        assert drag("evaluate", *of(data), "--output", output, *at(server), "--retry-errors") == 0
        assert len(server.requests) == 2
    assert read_results(output).aggregate["success"].value == 1.0


def test_several_samples_and_a_limit(data, tmp_path):
    output = tmp_path / "r.json"
    options = "--samples", "3", "--sampling", "default", "--limit", "4"
    with FakeServer(asks_for_the_word) as server:
        assert drag("evaluate", *of(data), "--output", output, *at(server), *options) == 0
        assert len(server.requests) == 2 * 3 * 4
        seeds = {request["seed"] for request in server.requests}
        assert len(seeds) == 24
        assert drag("evaluate", *of(data), "--output", output, *at(server), *options[:-1], "2") == 0
    results = read_results(output)
    assert [len(row.samples) for row in results.rows] == [3, 3]
    assert len(list(read_trajectories(tmp_path / "r.trajectories.jsonl"))) == 12


@pytest.mark.parametrize("name", ["raw-question", "keywords", "feedback", "oracle-depth", "oracle-words"])
def test_controls_need_no_model_and_play_once(data, tmp_path, name):
    words = ("evaluate", *of(data), "--output", tmp_path / "baseline.json", "--policy", name)
    assert drag(*words) == 0
    assert read_results(tmp_path / "baseline.json").policy == name
    before = (tmp_path / "baseline.trajectories.jsonl").read_bytes()
    assert drag(*words) == 0
    assert (tmp_path / "baseline.trajectories.jsonl").read_bytes() == before


@pytest.fixture(scope="module")
def measured(data, tmp_path_factory):
    """Results of two baselines and a model."""
    folder = tmp_path_factory.mktemp("measured")
    for name in ("raw-question", "keywords"):
        assert drag("evaluate", *of(data), "--output", folder / f"{name}.json", "--policy", name) == 0
    with FakeServer(asks_for_the_word) as server:
        assert drag("evaluate", *of(data), "--output", folder / "model.json", *at(server)) == 0
    return [folder / f"{name}.json" for name in ("raw-question", "keywords", "model")]


def test_a_split_file_says_which_questions_are_played(data, tmp_path, capsys):
    split = tmp_path / "ctt_subset_test.json"
    split.write_text(json.dumps({"items": [{"question_id": "pumps-1"}, {"question_id": "lamps-2"}]}))
    output = tmp_path / "r.json"
    words = "--output", output, "--policy", "raw-question"
    assert drag("evaluate", *of(data), *words, "--include-json", split) == 0
    assert {row.question_id for row in read_results(output).rows} == {"pumps-1", "lamps-2"}
    out = tmp_path / "t.jsonl"
    assert drag("collect", *of(data), "--out", out, "--policy", "raw-question", "--exclude-json", split) == 0
    played = {row.outcome.question.question_id for row in read_trajectories(out)}
    assert played == {question.question_id for question in lab.QUESTIONS} - {"pumps-1", "lamps-2"}
    split.write_text("{}")
    assert drag("evaluate", *of(data), *words, "--include-json", split) == 2
    assert "names no question" in capsys.readouterr().err


def test_a_baseline_is_compared_with_a_model(measured, tmp_path, capsys):
    assert drag("compare", *measured, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "model against raw-question (model m, 4 turns, greedy)" in said and "Success Rate" in said
    assert "keywords, 4 turns" in said and "\\" not in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "compare.md",
        "compare.json",
        "compare.png",
        "manifest.json",
    }
    assert "### All metrics" in (tmp_path / "out" / "compare.md").read_text() and "Token F1" not in said
    assert drag("compare", *measured, "--json") == 0
    comparison = json.loads(capsys.readouterr().out)
    assert [pair["name"] for pair in comparison["pairs"]] == ["keywords", "model"]
    assert comparison == json.loads((tmp_path / "out" / "compare.json").read_text())


def test_any_cutoff_is_measured_compared_and_shown(data, measured, tmp_path, capsys):
    for name in ("keywords", "feedback"):
        words = "evaluate", *of(data), "--output", tmp_path / f"{name}.json", "--policy", name
        assert drag(*words, "--metrics", "recall@50", "--metrics", "mrr@2", "--trec", tmp_path / name) == 0
        assert "Recall@50 (first search)" in capsys.readouterr().out
    results = read_results(tmp_path / "keywords.json")
    assert results.names[-6:] == tuple(
        f"{r}.{m}" for r in ("first", "best", "pooled") for m in ("recall@50", "mrr@2")
    )
    qrels = list(ir_measures.read_trec_qrels(str(tmp_path / "keywords/qrels.txt")))
    run = list(ir_measures.read_trec_run(str(tmp_path / "keywords/first.run")))
    found = ir_measures.calc_aggregate([RR @ 2, R @ 50], qrels, run)
    assert results.aggregate["first.mrr@2"].value == pytest.approx(found[RR @ 2])
    assert results.aggregate["first.recall@50"].value == pytest.approx(found[R @ 50])
    asked, plain = (tmp_path / "keywords.json", tmp_path / "feedback.json"), measured[0]
    for files, shown in ((asked, True), ((asked[0], plain), False)):  # of the last one none was asked for
        assert drag("compare", *files, "--json") == 0
        [pair] = json.loads(capsys.readouterr().out)["pairs"]
        assert ("best.recall@50" in {line["metric"] for line in pair["lines"]}) == shown
    words = "evaluate", *of(data), "--output", tmp_path / "x.json", "--policy", "keywords"
    assert drag(*words, "--metrics", "f1@3") == 2
    assert "--metrics f1@3: is not NAME@K, such as recall@100" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


def test_files_of_one_name_are_runs_of_one_policy(data, tmp_path, capsys):
    for run in ("seed-1", "seed-2"):
        for name in ("raw-question", "keywords"):
            assert (
                drag("evaluate", *of(data), "--output", tmp_path / run / f"{name}.json", "--policy", name)
                == 0
            )
    files = [
        tmp_path / run / f"{name}.json"
        for name in ("raw-question", "keywords")
        for run in ("seed-1", "seed-2")
    ]
    capsys.readouterr()
    assert drag("compare", *files, "--seeds") == 0
    said = capsys.readouterr().out
    assert "keywords against raw-question" in said and "4 turns, 2 samples" in said
    assert "Not only the policy differs" not in said
    assert drag("compare", *files[:2], "--seeds") == 2
    assert "--seeds: all files are named raw-question.json" in capsys.readouterr().err


def test_bad_options_and_files_are_one_line(data, tmp_path, capsys):
    assert drag("evaluate", *of(data), "--output", tmp_path / "r.txt", "--policy", "keywords") == 2
    assert (
        drag("evaluate", *of(data), "--output", tmp_path / "r.json", "--policy", "keywords", "--samples", 2)
        == 2
    )
    assert drag("evaluate", *of(data), "--output", tmp_path / "r.json") == 2
    assert drag("evaluate", *of(data, "none"), "--output", tmp_path / "r.json", "--policy", "keywords") == 2
    assert not (tmp_path / "r.json").exists()
    (tmp_path / "folder.json").mkdir()
    assert drag("evaluate", *of(data), "--output", tmp_path / "folder.json", "--policy", "keywords") == 2
    trec = "--trec", data / "questions.val.parquet"
    assert drag("evaluate", *of(data), "--output", tmp_path / "r.json", "--policy", "keywords", *trec) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["folder.json"]
    for split in ("test", "val"):
        output = tmp_path / f"{split}.json"
        assert drag("evaluate", *of(data, split), "--output", output, "--policy", "keywords") == 0
    capsys.readouterr()
    assert drag("compare", tmp_path / "test.json", tmp_path / "val.json") == 2
    assert drag("compare", tmp_path / "test.json") == 2
    assert drag("compare", tmp_path / "test.json", tmp_path / "none.json") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("drag: ") for line in lines)
    assert "split 'val'" in lines[0]


def test_settings_that_changed_under_half_a_run_are_refused(data, tmp_path, capsys):
    output: Path = tmp_path / "r.json"
    assert drag("evaluate", *of(data), "--output", output, "--policy", "feedback") == 0
    before = output.read_bytes()
    again = "evaluate", *of(data), "--output", output, "--policy", "feedback", "--episode", "max_turns=2"
    assert drag(*again) == 2
    said = capsys.readouterr().err
    assert "episode.max_turns = 4, now it is 2; give another file" in said and output.read_bytes() == before
    assert drag(*again[:-3], "keywords") == 2
    assert "was begun with model = feedback, now it is keywords" in capsys.readouterr().err
    assert not re.search(r"--out\b", said), "an option that evaluate has not"


def test_a_run_that_played_nothing_binds_to_nothing(data, tmp_path, capsys):
    output = tmp_path / "r.json"
    assert drag("evaluate", *of(data), "--output", output, "--model", "typo", "--base-url", "nonsense") == 2
    assert "--base-url nonsense: is no address" in capsys.readouterr().err
    assert drag("evaluate", *of(data), "--output", output, "--policy", "keywords") == 0
    assert read_results(output).policy == "keywords"


def test_questions_of_other_pages_are_refused(tmp_path, capsys):
    lab.make_index(tmp_path)
    stranger = Question(question_id="s", text="?", gold_page_ids=("other#1",))
    write_questions(tmp_path / "questions.test.parquet", [stranger], "test")
    words = "evaluate", *of(tmp_path), "--output", tmp_path / "r.json", "--policy", "raw-question"
    assert drag(*words) == 2
    assert "question s: its page other#1 is not in" in capsys.readouterr().err
