"""``drag view``: a report, or one line that says what is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli_main import exit_code

from drag_rl.cli.main import main


def trajectory_row():
    return {
        "id": "traj_q_0",
        "question": "How?",
        "ground_truth": {"file": "doc", "page": 1, "page_ids": ["doc#1"], "answers": []},
        "iterations": [],
        "stop_reason": "error",
        "question_id": "q",
        "data_source": "user",
        "question_images": [],
        "sample": 0,
        "model": "m",
        "sampling": "",
        "top_k": 3,
        "max_turns": 1,
        "corpus_pages": 5,
        "error": "server down",
        "hint_page_ids": [],
    }


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "trajectories.jsonl"
    path.write_text(json.dumps(trajectory_row()) + "\n")
    return path


def test_a_report_is_one_file(tmp_path, rows, capsys):
    out = tmp_path / "deep" / "report.html"
    assert exit_code(main, ["view", str(rows), "--out", str(out)]) == 0
    assert "1 rollouts of 1 questions" in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "server down" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jsonl", "--out", "r.html"], "missing.jsonl: no such file"),
        (["{rows}", "--out", "r.txt"], "--out r.txt: should end in .html"),
        (["{rows}", "--out", "r.html", "--pages", "nowhere"], "nowhere"),
        (["{rows}", "--out", "r.html", "--limit", "-1"], "--limit"),
        (["{rows}"], "--out"),
    ],
)
def test_bad_input_is_one_line(tmp_path, rows, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert exit_code(main, ["view", *(word.format(rows=rows) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not (tmp_path / "r.html").exists()


def test_what_was_there_stays_when_the_input_is_bad(tmp_path, rows):
    out = tmp_path / "report.html"
    out.write_text("mine")
    rows.write_text("{}\n")
    assert exit_code(main, ["view", str(rows), "--out", str(out)]) == 2
    assert out.read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner),
    max_leaves=4,
)


@settings(max_examples=50)
@given(name=st.sampled_from(sorted(trajectory_row())), value=JSON)
def test_any_value_anywhere_is_shown_or_named(tmp_path_factory, name, value):
    path = tmp_path_factory.mktemp("fuzz") / "t.jsonl"
    path.write_text(json.dumps(trajectory_row() | {name: value}) + "\n")
    assert exit_code(main, ["view", str(path), "--out", str(path.with_suffix(".html"))]) in (0, 2)
