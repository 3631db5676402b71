"""``drag evaluate --generator``: answers measured end to end, controls, and runs that die, fail and go on."""

from __future__ import annotations

import json

import pytest
import trajectory_lab as lab
from fake_openai import Failure, FakeServer
from handoff_lab import given_pages, text_of

from drag_rl.cli.main import main
from drag_rl.evaluation.results import read_results
from drag_rl.handoff.answer_file import AnswerFile
from drag_rl.questions import write_questions

N = 6
QUESTIONS = lab.QUESTIONS[:N]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    lab.make_index(folder)
    write_questions(folder / "questions.parquet", QUESTIONS, "test")
    return folder


def drag(*words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def evaluate(data, output, server, *more, policy="raw-question"):
    words = [
        "evaluate",
        "--questions",
        data / "questions.parquet",
        "--index",
        data / "index",
        "--output",
        output,
    ]
    words += ["--policy", policy, "--generator", server.url, "--generator-model", "large", *more]
    return drag(*words)


def word_of(request):
    return text_of(request).rpartition(" ")[2].strip("?")


def knows(request):
    """Answers rightly, and cites the page of the word, if that page is given; else it does not know."""
    word = word_of(request)
    page = next(
        (page for page, text in given_pages(request).items() if text.startswith(f"The {word} ")), None
    )
    return f"It needs care. [{page}; made-up#1]" if page else "NOT ANSWERABLE"


def test_the_generator_is_measured_and_a_second_run_asks_nothing(data, tmp_path, capsys):
    output = tmp_path / "r.json"
    with FakeServer(knows) as server:
        assert evaluate(data, output, server) == 0
        assert len(server.requests) == N and "Generator Success" in capsys.readouterr().out
        first = output.read_text()
        assert evaluate(data, output, server) == 0 and len(server.requests) == N
    results = read_results(output)
    assert json.loads(first)["rows"] == json.loads(output.read_text())["rows"]
    value = {name: aggregate.value for name, aggregate in results.aggregate.items()}
    given = [set(row.gold_page_ids) <= set(row.samples[0].generated.page_ids) for row in results.rows]
    share = sum(given) / N
    assert share > 0 and value["generator.gold_given"] == pytest.approx(share)
    for name in ("answer_success", "exact_match", "token_f1", "anls", "citation_recall"):
        assert value[f"generator.{name}"] == pytest.approx(share), name
    assert value["generator.citation_precision"] == pytest.approx(share / 2)
    assert value["generator.citation_f1"] == pytest.approx(2 / 3 * share)
    assert value["generator.dropped_citations"] == pytest.approx(share)
    assert value["generator.refused"] == pytest.approx(1 - share) and value["generator.error_rate"] == 0
    assert value["generator.seconds"] > 0 and value["generator.prompt_tokens"] > 0
    assert results.config["generator"]["model"] == "large" and results.paths["answers"].endswith(
        "r.answers.jsonl"
    )
    assert len(list(AnswerFile.rows(tmp_path / "r.answers.jsonl"))) == N


def test_what_search_is_worth_is_measured_against_its_controls(data, tmp_path, capsys):
    files = []
    with FakeServer(knows) as server:
        for control in ("none", "raw", "gold", "searched"):
            files.append(tmp_path / f"{control}.json")
            more = ("--generator-pages", control, "--episode", "max_turns=2 top_k=2")
            assert evaluate(data, files[-1], server, *more) == 0
        pages = [[*given_pages(request)] for request in server.requests]
    none, raw, gold, searched = (read_results(file).aggregate for file in files)
    assert pages[:N] == [[]] * N and all(len(given) == 2 for given in pages[N : 2 * N])
    by_gold = {tuple(given) for given in pages[2 * N : 3 * N]}
    assert by_gold == {question.gold_page_ids for question in QUESTIONS}
    success = "generator.answer_success"
    assert none[success].value == 0 and gold[success].value == 1.0 == gold["generator.gold_given"].value
    assert raw[success].value == searched[success].value > 0  # the policy searches the raw question, once
    capsys.readouterr()
    assert drag("compare", files[0], files[2], "--json") == 0
    [pair] = json.loads(capsys.readouterr().out)["pairs"]
    lines = {line["metric"]: line for line in pair["lines"]}
    assert lines[success]["verdict"] == "better" and lines[success]["change"]["low"] > 0
    assert "generator.pages is none in the base and gold here" in pair["notes"]
    assert drag("compare", files[0], files[2]) == 0
    said = capsys.readouterr().out
    assert "Generator Token F1" in said and "generator large with gold pages" in said


def test_a_run_that_died_goes_on_and_ends_as_if_it_had_not(data, tmp_path):
    whole, torn = tmp_path / "whole.json", tmp_path / "torn.json"
    with FakeServer(knows) as server:
        for output in (whole, torn):
            assert evaluate(data, output, server) == 0
        kept = tmp_path / "torn.answers.jsonl"
        lines = kept.read_bytes().splitlines(keepends=True)
        kept.write_bytes(b"".join(lines[:2]) + lines[2][:30])
        torn.unlink()
        server.requests.clear()
        assert evaluate(data, torn, server) == 0 and len(server.requests) == N - 2
    one, two = (read_results(path).aggregate for path in (whole, torn))
    assert {name: one[name] for name in one if "seconds" not in name} == {
        name: two[name] for name in two if "seconds" not in name
    }


def test_failed_answers_score_zero_until_they_are_asked_for_again(data, tmp_path):
    output = tmp_path / "r.json"

    def say(request):
        return Failure(status=400, message="no") if word_of(request) == "impeller" else knows(request)

    with FakeServer(knows) as server:
        assert evaluate(data, tmp_path / "all.json", server, "--generator-pages", "gold") == 0
    with FakeServer(say) as server:
        assert evaluate(data, output, server, "--generator-pages", "gold") == 0
        aggregate = read_results(output).aggregate
        assert aggregate["generator.answer_success"].value == pytest.approx((N - 1) / N)
        assert aggregate["generator.answer_success"].n == N
        assert aggregate["generator.error_rate"].value == pytest.approx(1 / N)
    with FakeServer(knows) as server:
        assert evaluate(data, output, server, "--generator-pages", "gold", "--retry-errors") == 0
        assert len(server.requests) == 1
    assert read_results(output).aggregate["generator.answer_success"].value == 1.0


def test_a_failed_episode_has_no_answer(data, tmp_path):
    def searcher(request):
        if "impeller" in str(request["messages"]):
            return Failure(status=400, message="no")
        return "<answer>x</answer>"

    with FakeServer(searcher) as small, FakeServer(knows) as large:
        model = ("--base-url", small.url, "--model", "m")
        assert evaluate(data, tmp_path / "r.json", large, *model, policy="model") == 0
        assert len(large.requests) == N - 1
    rows = {row.question_id: row.generated for row in AnswerFile.rows(tmp_path / "r.answers.jsonl")}
    assert rows["pumps-1"].error.startswith("the episode failed: ")
    assert all(row.refused for question_id, row in rows.items() if question_id != "pumps-1")


def test_other_settings_and_dead_servers_are_one_line(data, tmp_path, capsys):
    output = tmp_path / "r.json"
    with FakeServer(knows) as server:
        assert evaluate(data, output, server) == 0
        capsys.readouterr()
        assert evaluate(data, output, server, "--generator-pages", "gold") == 2
        assert "generator.pages = searched, now it is gold" in capsys.readouterr().err
        assert evaluate(data, tmp_path / "x.json", server, "--generator-shown", "image") == 2
        assert "needs --pages" in capsys.readouterr().err and not (tmp_path / "x.trajectories.jsonl").exists()
    words = "evaluate", "--questions", data / "questions.parquet", "--index", data / "index"
    assert (
        drag(*words, "--output", tmp_path / "y.json", "--policy", "keywords", "--generator-pages", "raw") == 2
    )
    assert "--generator-pages needs --generator" in capsys.readouterr().err
