"""A file of trajectories: whatever a kill leaves, the next run goes on; other settings are refused."""

from __future__ import annotations

import json
import resource

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.files.manifest import manifest_path, read_manifest, sha256_file, write_manifest
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.trajectories.trajectory_file import TrajectoryFile
from drag_rl.types import Answer, Outcome, Question, StopReason, Trajectory, Turn

FACTS = {"inputs": {"index": "a"}, "config": {"model": "m", "episode": {"top_k": 3}}}


def trajectory(number, sample=0, error=""):
    question = Question(question_id=f"q{number}", text="Wo ist über “das”?\n", gold_page_ids=("d#1",))
    turns = () if error else (Turn(step=1, text="é\u2028", action=Answer(text="é\u2028")),)
    reason = StopReason.ERROR if error else StopReason.ANSWERED
    outcome = Outcome(
        question=question, turns=turns, stop_reason=reason, config=EpisodeConfig(max_turns=2), corpus_pages=9
    )
    return Trajectory(outcome=outcome, sample=sample, error=error)


def write(path, *rows, **options):
    with TrajectoryFile.open(path, **FACTS, **options) as file:
        for row in rows:
            file.append(row)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_at_any_byte_it_goes_on(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("cut") / "t.jsonl"
    rows = [trajectory(number, sample) for number in range(3) for sample in range(2)]
    write(path, *rows)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with TrajectoryFile.open(path, **FACTS) as file:
        assert file.done == {("q0", 0), ("q0", 1), ("q1", 0), ("q1", 1), ("q2", 0), ("q2", 1)} & file.done
        assert len(file.done) == path.read_bytes().count(b"\n") == file.counts.episodes
        for row in rows:
            if (row.outcome.question.question_id, row.sample) not in file.done:
                file.append(row)
    assert path.read_bytes() == whole


def test_a_full_disk_is_named_and_costs_the_last_row(tmp_path):
    path, room = tmp_path / "t.jsonl", 1 << 20
    write(path, trajectory(1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))  # what is longer fails, as on a full disk
    try:
        with pytest.raises(OSError, match="too large") as error:
            write(path, trajectory(1, sample=1, error="x" * room))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.filename == str(path)
    write(path, trajectory(2))
    assert list(read_trajectories(path)) == [trajectory(1), trajectory(2)]


def test_rows_are_there_at_once_and_the_manifest_tells_what_is_finished(tmp_path):
    path = tmp_path / "deep" / "t.jsonl"
    with TrajectoryFile.open(path, **FACTS) as file:
        assert read_manifest(path).config == FACTS["config"] and read_manifest(path).fingerprint == ""
        file.append(trajectory(1))
        assert list(read_trajectories(path)) == [trajectory(1)]
        with pytest.raises(RuntimeError, match="already"):
            file.append(trajectory(1))
    manifest = read_manifest(path)
    assert manifest.fingerprint == sha256_file(path) and manifest.counts["episodes"] == 1
    with TrajectoryFile.open(path, **FACTS) as file:
        file.append(trajectory(2))
        assert read_manifest(path).fingerprint == ""
    assert read_manifest(path).counts["episodes"] == 2


def test_other_settings_are_refused_by_name(tmp_path):
    path = tmp_path / "t.jsonl"
    write(path, trajectory(1))
    before = path.read_bytes()
    for facts, name in [
        ({**FACTS, "inputs": {"index": "b"}}, "input.index = a, now it is b"),
        ({**FACTS, "config": {"model": "m", "episode": {"top_k": 5}}}, "episode.top_k = 3, now it is 5"),
        ({**FACTS, "config": {"model": "m"}}, "episode.* now it is None"),
    ]:
        with pytest.raises(InputError, match=name), TrajectoryFile.open(path, **facts):
            pass
    assert path.read_bytes() == before


def test_an_option_younger_than_the_file_was_at_its_default(tmp_path):
    path = tmp_path / "t.jsonl"
    write(path, trajectory(1))
    now = EpisodeConfig(top_k=3).model_dump(mode="json")
    with TrajectoryFile.open(path, **{**FACTS, "config": {"model": "m", "episode": now}}) as file:
        assert file.done == {("q1", 0)}
    changed = {"model": "m", "episode": {**now, "repeat_pages": False}}
    with (
        pytest.raises(InputError, match=r"episode\.repeat_pages = True, now it is False"),
        TrajectoryFile.open(path, **{**FACTS, "config": changed}),
    ):
        pass


def test_one_writer_at_a_time(tmp_path):
    path = tmp_path / "t.jsonl"
    first, second = (TrajectoryFile.open(path, **FACTS) for _ in range(2))
    with first, pytest.raises(InputError, match="another run"), second:
        pass
    write(path, trajectory(1))


def test_a_failure_before_the_first_row_leaves_nothing(tmp_path):
    path = tmp_path / "t.jsonl"
    for rows in ([], [trajectory(1)]):
        with pytest.raises(RuntimeError, match="no server"), TrajectoryFile.open(path, **FACTS) as file:
            for row in rows:
                file.append(row)
            raise RuntimeError("no server")
        assert path.exists() == manifest_path(path).exists() == bool(rows)


def test_an_empty_file_of_someone_else_stays(tmp_path):
    path = tmp_path / "t.jsonl"
    path.touch()
    write_manifest(path, stage="filter", fingerprint="", inputs={}, config={}, counts={}, seconds=0.0)
    with pytest.raises(InputError, match="made by filter"):
        write(path)
    assert path.exists() and read_manifest(path).stage == "filter"


def test_errors_are_made_again_only_when_asked(tmp_path):
    path = tmp_path / "t.jsonl"
    write(path, trajectory(1), trajectory(2, error="boom"), trajectory(3))
    with TrajectoryFile.open(path, **FACTS) as file:
        assert len(file.done) == 3 and file.counts.errors == 1
    with TrajectoryFile.open(path, **FACTS, retry_errors=True) as file:
        assert file.done == {("q1", 0), ("q3", 0)} and file.counts.errors == 0
        with pytest.raises(InputError, match="another run"), TrajectoryFile.open(path, **FACTS):
            pass
        file.append(trajectory(2))
    assert [row.outcome.question.question_id for row in read_trajectories(path)] == ["q1", "q3", "q2"]


def test_foreign_and_garbled_files_are_refused(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("mine\n")
    with pytest.raises(InputError, match="was not made by drag collect"):
        write(path)
    assert path.read_text() == "mine\n"
    path.unlink()
    write(path, trajectory(1))
    line = path.read_text()
    path.write_text("{}\n" + line)
    with pytest.raises(InputError, match=r"t\.jsonl, line 1"):
        write(path)
    path.write_text(line + line)
    with pytest.raises(InputError, match="row 2 repeats question q1, sample 0"):
        write(path)
    found = json.loads(manifest_path(path).read_text())
    manifest_path(path).write_text(json.dumps(found | {"stage": "filter"}))
    with pytest.raises(InputError, match="made by filter"):
        write(path)
