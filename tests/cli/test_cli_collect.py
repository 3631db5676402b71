"""``drag collect`` from end to end against a scripted server: resume, errors, dead servers, kills, hints."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

import collect_lab
import pytest
from collect_lab import WORDS, command, drag, model, question_of
from fake_openai import Failure, FakeServer, Raw, Said
from tiny_corpus import index_of

from drag_rl.files.manifest import read_manifest
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import StopReason


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return collect_lab.make_data(tmp_path_factory.mktemp("collect"))


def rows(path):
    """The rows without their times, in no order."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for row in found:
        for iteration in row["iterations"]:
            for timed in (iteration["generation"], *iteration["generation"]["uses"]):
                del timed["seconds"]
    return sorted(json.dumps(row, sort_keys=True) for row in found)


def test_collect_goes_on_and_says_what_it_did(data, tmp_path, capsys):
    out = tmp_path / "t.jsonl"
    with FakeServer(model) as server:
        code, said, _ = drag(capsys, *command(data, server.url, out, "--samples", 2, "--limit", 3))
        assert code == 0 and "6 episodes: " in said and f"{out}: 6 rows" in said
        assert len(server.requests) == 12
        code, said, _ = drag(capsys, *command(data, server.url, out, "--samples", 2, "--limit", 3))
        assert code == 0 and "nothing left" in said and len(server.requests) == 12
        code, said, _ = drag(capsys, *command(data, server.url, out, "--samples", 3))
        assert code == 0 and "30 episodes: " in said and f"{out}: 36 rows" in said
        asked = len(server.requests)
        code, _, err = drag(capsys, *command(data, server.url, out, "--sampling", "creative"))
        assert code == 2 and "sampling.name = default, now it is creative" in err
        assert len(server.requests) == asked
    trajectories = list(read_trajectories(out))
    assert {(t.outcome.question.question_id, t.sample) for t in trajectories} == {
        (f"q{n}", sample) for n in range(1, 13) for sample in range(3)
    }
    manifest = read_manifest(out)
    assert manifest.counts["episodes"] == 36 == manifest.counts["ended_answered"]
    solved = sum(t.outcome.turns[0].gold_ranks[0] == 1 for t in trajectories)
    assert manifest.counts["solved"] == solved and 10 < solved < 36


def test_one_bad_question_is_a_row_and_is_played_again_on_demand(data, tmp_path, capsys):
    out, broken = tmp_path / "t.jsonl", True

    def say(request):
        bad = broken and "bonnet" in question_of(request)
        return Failure(status=400, message="bad bonnet") if bad else model(request)

    with FakeServer(say) as server:
        code, said, _ = drag(capsys, *command(data, server.url, out))
        assert code == 0 and "1 errors" in said and "--retry-errors" in said
        (failed,) = [t for t in read_trajectories(out) if t.outcome.stop_reason == StopReason.ERROR]
        assert failed.error == "HTTP 400: bad bonnet" and failed.outcome.question.question_id == "q11"
        broken = False
        code, said, _ = drag(capsys, *command(data, server.url, out))
        assert "nothing left" in said
        code, said, _ = drag(capsys, *command(data, server.url, out, "--retry-errors"))
        assert "1 episodes: " in said and f"{out}: 12 rows" in said and "0 errors" in said
    assert len(rows(out)) == 12


def test_a_server_that_dies_ends_with_one_line_and_keeps_what_is_done(data, tmp_path, capsys):
    out = tmp_path / "t.jsonl"
    with FakeServer(model) as server:
        server.say = lambda request: Failure(status=0) if len(server.requests) > 9 else model(request)
        code, _, err = drag(capsys, *command(data, server.url, out, "--concurrency", 2))
        assert code == 2 and err.count("\n") == 1 and "cannot be reached" in err and "is kept" in err
        done = len(rows(out))
        assert 3 <= done <= 5
        server.say = model
        code, said, _ = drag(capsys, *command(data, server.url, out, "--concurrency", 2))
        assert code == 0 and f"{12 - done} episodes: " in said
        drag(capsys, *command(data, server.url, tmp_path / "undisturbed.jsonl"))
    assert rows(out) == rows(tmp_path / "undisturbed.jsonl")


def test_a_server_that_is_none_ends_the_run_and_the_same_command_goes_on(data, tmp_path, capsys):
    """A maintenance page in mid-run: one line, exit 2, what is done stays."""
    out, page = tmp_path / "t.jsonl", Raw(body=b"<h1>Back soon</h1>", headers={"Content-Type": "text/html"})
    answered = itertools.count()
    options = "--concurrency", 1

    def say(request):
        return model(request) if next(answered) < 6 else page

    with FakeServer(say) as server:
        server.models = page
        code, said, err = drag(capsys, *command(data, server.url, out, *options))
        assert code == 2 and not said and err.count("\n") == 1 and "'<h1>Back soon</h1>'" in err
        kept = rows(out)
        assert len(kept) == 3
        server.say = model
        assert drag(capsys, *command(data, server.url, out, *options))[0] == 0
    assert len(rows(out)) == 12 and set(kept) <= set(rows(out))


def test_half_a_character_in_a_reply_stops_no_run_and_no_restart(data, tmp_path, capsys):
    out = tmp_path / "t.jsonl"

    def say(request):
        return (
            "<answer>\ud83d It needs care.</answer>" if "bonnet" in question_of(request) else model(request)
        )

    with FakeServer(say) as server:
        assert drag(capsys, *command(data, server.url, out))[0] == 0
        code, said, _ = drag(capsys, *command(data, server.url, out))
    assert code == 0 and "nothing left" in said
    (row,) = [t for t in read_trajectories(out) if t.outcome.question.question_id == "q11"]
    assert row.outcome.answer.text == "\ufffd It needs care."


def test_a_question_without_its_page_names_the_question(data, tmp_path, capsys):
    index_of(tmp_path, ["another corpus"])
    words = command(data, "http://127.0.0.1:9/v1", tmp_path / "t.jsonl", "--index", tmp_path / "index")
    code, _, err = drag(capsys, *words)
    assert code == 2 and "question q2: its page doc#2 is not in" in err


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(data, tmp_path, capsys, monkeypatch):
    with FakeServer(model, key="secret-1") as server:
        monkeypatch.setenv("OPENAI_API_KEY", "wrong-1")
        code, _, err = drag(capsys, *command(data, server.url, tmp_path / "t.jsonl", "--limit", 1))
        assert code == 2 and "set OPENAI_API_KEY" in err and "wrong-1" not in err
        monkeypatch.setenv("OPENAI_API_KEY", "secret-1")
        code, *_ = drag(capsys, *command(data, server.url, tmp_path / "t.jsonl", "--limit", 1))
        assert code == 0
    assert not any("secret-1" in path.read_text() for path in tmp_path.iterdir())


def test_rationalisation(data, tmp_path, capsys):
    """Never-solved questions are tried with the page in view; only true finds are kept, and no trace of the hint."""

    def say(request):
        system, question = request["messages"][0]["content"], question_of(request)
        if request["messages"][-1]["content"] != question:
            return "<answer>It needs care.</answer>"
        word = question.split()[-1].strip("?")
        if "Help for this one time" not in system:
            return f"<search>{word if word in WORDS[:8] else 'zebra'}</search>"
        assert f"The {word} needs care" in system
        if word == "stem":
            return "<search>zebra</search>"
        if word == "bonnet":
            return f"<think>The hint says it.</think><search>{word}</search>"
        copied = f"the {word} needs care on every day of the"
        return f"<search>{copied if word == 'gate' else word}</search>"

    with FakeServer(say) as server:
        honest, hinted = tmp_path / "t.jsonl", tmp_path / "hinted.jsonl"
        drag(capsys, *command(data, server.url, honest, "--samples", 2))
        words = command(data, server.url, hinted, "--samples", 2, "--hint-failures", honest)
        code, said, _ = drag(capsys, *words)
        assert code == 0
        assert "kept 4 of 8 (2 of them with a copied query), missed 2, told 2" in said
        asked = len(server.requests)
        code, said, _ = drag(capsys, *words)
        assert code == 0 and "nothing left" in said and len(server.requests) == asked
    kept = list(read_trajectories(hinted))
    assert {(t.outcome.question.question_id, t.sample) for t in kept} == {
        (name, sample) for name in ("q9", "q12") for sample in (2, 3)
    }
    for trajectory in kept:
        assert trajectory.hint_page_ids == trajectory.outcome.question.gold_page_ids
        assert trajectory.outcome.searches[0].gold_ranks == (1,)
    assert "Help for this" not in hinted.read_text()
    assert len(rows(tmp_path / "hinted.dropped.jsonl")) == 4


def slow_model(request):
    return Said(text=model(request), delay_s=0.05)


def killed(data, tmp_path, moments):
    """Collect, killed at each moment, and once undisturbed; a moment is a number of requests and of seconds after."""
    out, undisturbed = tmp_path / "t.jsonl", tmp_path / "undisturbed.jsonl"
    with FakeServer(slow_model) as server:

        def start(path):
            words = command(data, server.url, path, "--samples", 10, "--concurrency", 2)
            return subprocess.Popen(
                [sys.executable, "-m", "drag_rl.cli.main", *words], stdout=subprocess.DEVNULL
            )

        assert start(undisturbed).wait(120) == 0
        for requests, seconds in moments:
            before, process = len(server.requests), start(out)
            while len(server.requests) < before + requests and process.poll() is None:
                time.sleep(0.01)
            time.sleep(seconds)
            assert process.poll() is None, "it ended before"
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert start(out).wait(120) == 0
    assert rows(out) == rows(undisturbed) and len(rows(out)) == 120


@pytest.mark.slow
def test_killed_at_three_requests_it_ends_with_the_same_rows(data, tmp_path):
    killed(data, tmp_path, [(1, 0), (20, 0), (50, 0)])


@pytest.mark.slow
@pytest.mark.soak
def test_killed_ten_times_it_ends_with_the_same_rows(data, tmp_path):
    draw = random.Random(0)
    killed(data, tmp_path, [(1, draw.uniform(0, 0.6)) for _ in range(10)])
