"""``drag tune``: the threshold that it finds makes the number of searches that it says, on the same questions."""

from __future__ import annotations

import hashlib
import json
from statistics import fmean

import pytest
import trajectory_lab as lab
from collect_lab import drag
from fake_openai import FakeServer
from prompted_lab import asks_yes_or_no, prompt_of, said, yes

from drag_rl.evaluation.tune import searches_at
from drag_rl.metrics.costs import searched_itself
from drag_rl.questions import write_questions
from drag_rl.trajectories.rows import read_trajectories

EPISODE = "think=false max_turns=4 repeat_pages=false top_k=1"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune")
    lab.make_index(folder)
    write_questions(folder / "questions.parquet", lab.QUESTIONS[:10], "val")
    return folder


def noise(*parts: object) -> float:
    """A number in [0, 1) that looks random, and is the same for the same parts."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def model(request):
    """Writes two sentences, sure of them as the prompt has it; says yes as often as the prompt has it."""
    prompt = prompt_of(request)
    if asks_yes_or_no(request):
        return yes(noise(prompt) if "support" in prompt else 0.9)
    likely = max(0.01, noise(prompt))
    return said([[("The", 0.99), ("rotor", likely), ("turns.", 0.99)], [("It", 0.99), ("ends.", 0.99)]])


def command(name, data, out, *more):
    words = [name, "--questions", data / "questions.parquet", "--index", data / "index", "--output", out]
    return [str(word) for word in [*words, "--episode", EPISODE, "--retries", 0, *more]]


def at(server):
    return "--base-url", server.url, "--model", "m"


@pytest.mark.parametrize("policy", ["self-reflection", "flare"])
def test_the_value_that_is_found_does_what_it_says(policy, data, tmp_path, capsys):
    out = tmp_path / "tuned.json"
    with FakeServer(model) as server:
        words = command("tune", data, out, "--policy", policy, "--searches", 2, *at(server))
        code, text, _ = drag(capsys, *words)
        assert code == 0 and "asked for 2; 10 questions" in text
        tuned = json.loads(out.read_text())
        assert abs(tuned["found"]["searches"] - 2) <= 0.2
        results = tmp_path / "results.json"
        words = command("evaluate", data, results, "--policy", policy, *at(server))
        code, text, _ = drag(capsys, *words, "--policy-options", str(out))
        assert code == 0 and "searches (" in text and "until it stopped)" in text
        asked = len(server.requests)
        # Nothing is played again: what was tried is there.
        assert (
            drag(capsys, *command("tune", data, out, "--policy", policy, "--searches", 2, *at(server)))[0]
            == 0
        )
        assert len(server.requests) == asked
        aggregate = json.loads(results.read_text())["aggregate"]
        assert aggregate["searches_until_stop"]["value"] == pytest.approx(tuned["found"]["searches"])
        assert aggregate["success_until_stop"]["value"] == pytest.approx(tuned["found"]["success"])
        assert (
            json.loads(results.read_text())["config"]["policy_settings"] | tuned["settings"]
            == (json.loads(results.read_text())["config"]["policy_settings"])
        )
        # Another policy does not take it.
        words = command("evaluate", data, tmp_path / "x.json", "--policy", "entropy-trigger", *at(server))
        code, _, error = drag(capsys, *words, "--policy-options", str(out))
        assert code == 2 and f"tuned for --policy {policy}, not entropy-trigger" in error


def test_one_run_tells_what_a_rule_that_only_stops_does_at_any_value(data, tmp_path, capsys):
    with FakeServer(model) as server:
        words = command("tune", data, tmp_path / "t.json", "--policy", "self-reflection", "--searches", 1.5)
        assert drag(capsys, *words, *at(server))[0] == 0
        assert [path.name for path in (tmp_path / "t.tuning").glob("*.jsonl")] == ["supported-1.jsonl"]
        run = sorted(
            read_trajectories(tmp_path / "t.tuning" / "supported-1.jsonl"), key=lambda one: one.trajectory_id
        )
        means = []
        for value in (0.3, 0.7):
            out = tmp_path / f"at-{value}.json"
            words = command("evaluate", data, out, "--policy", "self-reflection", *at(server))
            assert drag(capsys, *words, "--policy-options", f"supported={value}")[0] == 0
            played = read_trajectories(tmp_path / f"at-{value}.trajectories.jsonl")
            stopped = [len(searched_itself(one)) for one in sorted(played, key=lambda one: one.trajectory_id)]
            assert stopped == [searches_at(one, value) for one in run]
            means.append(fmean(stopped))
        assert means == sorted(means) and means[0] < means[-1]


def test_rules_that_ask_no_model_are_tuned_too(data, tmp_path, capsys):
    out = tmp_path / "coverage.json"
    words = command("tune", data, out, "--policy", "stop-coverage", "--searches", 1.2)
    assert drag(capsys, *words)[0] == 0
    tuned = json.loads(out.read_text())
    assert tuned["tunable"] == "threshold" and 0 <= tuned["settings"]["threshold"] <= 1


def test_what_cannot_be_tuned_is_refused_in_one_line(data, tmp_path, capsys):
    def refused(*more):
        code, _, error = drag(capsys, *command("tune", data, tmp_path / "out.json", *more))
        assert code == 2
        return error

    assert "--policy raw-question: has no threshold to tune" in refused(
        "--policy", "raw-question", "--searches", 2
    )
    assert "at most 3" in refused("--policy", "stop-coverage", "--searches", 4)
    (tmp_path / "out.json").write_text('{"mine": 1}')
    assert "not what drag tune wrote" in refused("--policy", "stop-coverage", "--searches", 1)
    assert json.loads((tmp_path / "out.json").read_text()) == {"mine": 1}
