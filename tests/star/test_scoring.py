"""``drag score``: the reward of trajectories on disk, and which groups could teach something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trajectory_lab as lab

from drag_rl.cli.main import main
from drag_rl.errors import InputError
from drag_rl.files.codec import to_json
from drag_rl.star.scoring import score_files
from reward import SCORES, RewardConfig, compute_reward


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return lab.make_index(tmp_path_factory.mktemp("scoring"))


def rollouts(index, question, *queries):
    """One sample a query: search, then answer."""
    texts = ([lab.search(query), lab.answer("I do not know.")] for query in queries)
    return [lab.played(index, question, text, sample=sample) for sample, text in enumerate(texts)]


@pytest.fixture
def file(tmp_path, index):
    """A group that differs, a group of copies, and a question with one sample."""
    impeller, seal, rotor = (lab.QUESTIONS[number] for number in (0, 1, 6))
    trajectories = [
        *rollouts(index, impeller, "impeller", "copper lumen"),
        *rollouts(index, seal, "seal", "seal"),
        *rollouts(index, rotor, "rotor"),
    ]
    return lab.write(tmp_path / "trajectories.jsonl", trajectories), [t.outcome for t in trajectories]


def drag(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["score", *map(str, words)])
    return int(stop.value.code or 0)


def test_each_line_is_the_reward_and_every_score(file, tmp_path):
    path, outcomes = file
    config = RewardConfig(weights={"reciprocal_rank": 2.0, "format": -0.5})
    count, stats = score_files([path], tmp_path / "scores.jsonl", config)
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert count == len(rows) == len(outcomes)
    for row, outcome in zip(rows, outcomes, strict=True):
        assert (row["reward"], row["scores"]) == compute_reward(outcome, config)
        assert row["id"].startswith(f"traj_{row['question_id']}_")
    assert stats["reward"].mean == pytest.approx(sum(row["reward"] for row in rows) / len(rows))
    assert set(stats) > {"reward", *SCORES}


def test_groups_without_variance(file, tmp_path):
    path, _ = file
    _, stats = score_files([path], tmp_path / "scores.jsonl", RewardConfig())
    assert stats["deep_rank"].zero_variance == 0.5, "the copies; a single rollout is no group"
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    _, stats = score_files([path, copy], tmp_path / "scores.jsonl", RewardConfig())
    assert stats["deep_rank"].zero_variance == 0.5, "the files' groups stay apart"


def test_a_dump_of_a_training_run_is_read_too(file, tmp_path):
    path, outcomes = file
    dump = tmp_path / "1.trajectories.jsonl"
    rows = [
        {"uid": "g", "sample": sample, "step": 1, "reward": 0.0, "outcome": json.loads(to_json(outcome))}
        for sample, outcome in enumerate(outcomes)
    ]
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, of_dump = score_files([dump], tmp_path / "a.jsonl", RewardConfig())
    _, of_file = score_files([path], tmp_path / "b.jsonl", RewardConfig())
    assert of_dump["reward"].mean == of_file["reward"].mean
    assert of_dump["reward"].zero_variance == 0.0, "one group, by its uid"


def test_the_command(file, tmp_path, capsys):
    path, outcomes = file
    out = tmp_path / "scores.jsonl"
    assert (
        drag("--input", path, "--output", out, "--json", "--weights", "hit@1=1", "--weights", "format=1") == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said["trajectories"] == len(outcomes)
    assert said["scores"]["reward"]["mean"] == pytest.approx(
        said["scores"]["hit@1"]["mean"] + said["scores"]["format"]["mean"]
    )
    assert drag("--input", path, "--output", out, "--variant", "first") == 0
    assert "groups without variance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "rank=1"], "option 'weights': unknown score 'rank'"),
        (["--weights", "rank_score"], "--weights rank_score: is not NAME=WEIGHT"),
        (["--variant", "mean"], "option 'variant'"),
    ],
)
def test_wrong_options_are_named(file, tmp_path, capsys, words, message):
    assert drag("--input", file[0], "--output", tmp_path / "scores.jsonl", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "scores.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no trajectory"),
        ("{", "line 1: is no JSON object"),
        ("[1]", "line 1: is no trajectory"),
        ('{"uid": "a", "outcome": {}}', "line 1: question: Field required"),
        (
            '{"question": "?"}',
            "line 1: is no trajectory of `drag collect` or of a rollout dump: 'iterations'",
        ),
    ],
)
def test_a_row_that_is_none_is_named_and_nothing_is_written(tmp_path: Path, text, message):
    path = tmp_path / "input.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        score_files([path], tmp_path / "scores.jsonl", RewardConfig())
    assert [each.name for each in tmp_path.iterdir()] == ["input.jsonl"]


def test_the_input_is_never_overwritten(file):
    with pytest.raises(InputError, match="would overwrite --input"):
        score_files([file[0]], file[0], RewardConfig())
