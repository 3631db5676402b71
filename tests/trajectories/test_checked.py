"""Rows of trajectories that no run of ours wrote: whoever reads them names the line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import trajectory_lab as lab

from drag_rl.cli.main import main
from drag_rl.files.codec import from_json, to_json
from drag_rl.protocol import EpisodeConfig
from drag_rl.trajectories.rows import trajectory_from_row, trajectory_to_row
from drag_rl.types import Outcome


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    index = lab.make_index(tmp_path_factory.mktemp("checked"))
    return lab.played(index, lab.QUESTIONS[0], [lab.search("impeller"), lab.answer("It needs care.")])


def changed(row, path, value):
    """A copy of a row with another value at a dotted path."""
    row = json.loads(json.dumps(row))
    *parents, last = path.split(".")
    inner = row
    for name in parents:
        inner = inner[int(name) if name.isdecimal() else name]
    inner[int(last) if last.isdecimal() else last] = value
    return row


CHANGES = [
    ("top_k", 0, "top_k is 0, not 1 or more"),
    ("top_k", -(10**400), "top_k is -1000"),
    ("iterations.0.gold_ranks", [0], "turn 1: a rank is 0, not 1 or more"),
    ("iterations.0.gold_ranks", [], "turn 1: has 0 ranks of 1 gold pages"),
    ("iterations.0.corpus_ranks", [None, 2], "turn 1: has 2 ranks of 1 gold pages"),
    ("iterations.0.corpus_ranks", [-1], "turn 1: a rank is -1, not 1 or more"),
    ("iterations.0.results.0.rank", 0, "turn 1: a rank is 0"),
    ("ground_truth.page_ids", [], "the question has no gold page"),
    ("ground_truth.page_ids", ["pumps"], "the gold page 'pumps' is not DOCUMENT#NUMBER"),
    ("ground_truth.page_ids", ["pumps#" + "9" * 5000], "is not DOCUMENT#NUMBER"),
    ("iterations", None, "is no trajectory of `drag collect`"),
]
COMMANDS = {
    "score": ["score", "--input", "{path}", "--output", "{out}"],
    "filter": ["filter", "--input", "{path}", "--output", "{out}"],
    "view": ["view", "{path}", "--out", "{out}"],
}


def said_of(path, command, tmp_path, capsys):
    words = [word.format(path=path, out=tmp_path / "out.html") for word in COMMANDS[command]]
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "Traceback" not in said and not (tmp_path / "out.html").exists(), said
    return said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_reader_names_the_line(trajectory, command, tmp_path, capsys):
    row = trajectory_to_row(trajectory)
    path = tmp_path / "t.jsonl"
    for where, value, says in CHANGES:
        path.write_text(f"{json.dumps(row)}\n{json.dumps(changed(row, where, value))}\n")
        said = said_of(path, command, tmp_path, capsys)
        assert "line 2" in said and (says in said or (command == "view" and "is no trajectory" in said)), said


def test_a_row_without_its_id_is_scored(trajectory, tmp_path):
    row = trajectory_to_row(trajectory)
    del row["id"]
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["score", "--input", str(tmp_path / "t.jsonl"), "--output", str(tmp_path / "s.jsonl")])
    (scored,) = (json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines())
    assert scored["id"] == trajectory.trajectory_id


@pytest.mark.parametrize("line", ['{"top_k": ' + "9" * 5000 + "}", "[" * 100_000])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_python_does_not_parse_is_named_too(line, command, tmp_path, capsys):
    path = tmp_path / "t.jsonl"
    path.write_text(line + "\n")
    assert "line 1" in said_of(path, command, tmp_path, capsys)


@pytest.mark.parametrize("command", ["score", "view"])
@pytest.mark.parametrize(
    ("where", "value"), [("top_k", 0), ("question.gold_page_ids", []), ("turns.0.gold_ranks.0", 0)]
)
def test_a_dump_of_a_training_run_is_checked_as_well(trajectory, command, where, value, tmp_path, capsys):
    outcome = changed(json.loads(to_json(trajectory.outcome)), where, value)
    row = {"uid": "g", "sample": 0, "step": 1, "reward": 0.0, "breakdown": {}, "outcome": outcome}
    path = tmp_path / "1.trajectories.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert "line 1" in said_of(path, command, tmp_path, capsys)


OLDER = {"top_k": 5, "max_turns": 2, "repeat_pages": False, "expand_question": True, "search_only": True}
"""What records of older versions say of the configuration."""


def test_records_of_older_versions_are_read(trajectory):
    """Rows and dumps named five options of the episode, where its whole configuration stands now."""
    config = EpisodeConfig(top_k=5, max_turns=2, repeat_pages=False, expand_question=True, answer=False)
    row = trajectory_to_row(trajectory)
    assert EpisodeConfig(**row.pop("episode")) == trajectory.outcome.config
    assert trajectory_from_row(row | OLDER).outcome == replace(trajectory.outcome, config=config)
    dump = json.loads(to_json(trajectory.outcome))
    del dump["config"]
    assert from_json(Outcome, json.dumps(dump | OLDER)) == replace(trajectory.outcome, config=config)
    oldest = {name: OLDER[name] for name in ("top_k", "max_turns")}
    plain = EpisodeConfig(top_k=5, max_turns=2)
    assert from_json(Outcome, json.dumps(dump | oldest)) == replace(trajectory.outcome, config=plain)


def test_columns_that_contradict_the_configuration_are_refused(trajectory):
    row = trajectory_to_row(trajectory)
    with pytest.raises(ValueError, match="max_turns is 9, but episode says 4"):
        trajectory_from_row(row | {"max_turns": 9})
