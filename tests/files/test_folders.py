"""What a stage made is replaced whole, what somebody else put there stays, and a kill at any moment loses neither."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from drag_rl.errors import InputError
from drag_rl.files.folders import READY, claim_file, claim_folder, new_files, new_folder
from drag_rl.files.manifest import manifest_path, write_manifest

NAMES = ("a", "b", "c")


def content(folder):
    """Every file below a folder but for manifests, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def fill(folder, files, stage="merge"):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    write_manifest(folder, stage=stage, fingerprint="")


def put(target, **files):
    with new_folder(target, "merge") as folder:
        fill(folder, {name.replace("_", "/"): text for name, text in files.items()})


def put_files(folder, **files):
    with new_files(folder, ["questions"], NAMES) as work:
        fill(work, files, "questions")


def forget_files(folder):
    """Leave the manifest as an older version wrote it."""
    found = json.loads(manifest_path(folder).read_text())
    del found["files"]
    manifest_path(folder).write_text(json.dumps(found))


def kill_at(monkeypatch, count):
    """Stop, as a kill would, at the ``count``-th rename or removal; what cleans up after an error is not run."""

    class KilledError(BaseException):
        pass

    left = [count]

    def counted(function):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] <= 0:
                raise KilledError
            return function(*arguments, **options)

        return call

    for owner, name in ((Path, "rename"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    return KilledError, left


def test_a_folder_takes_the_place_of_its_older_self_whole(tmp_path):
    target = tmp_path / "deep" / "model"
    put(target, x="1", sub_y="2")
    put(target, z="3")
    assert content(target) == {"z": "3"}
    with pytest.raises(ZeroDivisionError), new_folder(target, "merge"):
        raise ZeroDivisionError
    assert content(target) == {"z": "3"}
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "model").mkdir()
    put(tmp_path / "model", x="1")
    assert content(tmp_path / "model") == {"x": "1"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: (folder / "notes.txt").write_text("mine"),
            "holds notes.txt, which merge did not make",
        ),
        (lambda folder: (folder / "sub" / "notes.txt").write_text("mine"), "holds sub/notes.txt"),
        (lambda folder: (folder / "empty").mkdir(), "holds empty"),
        (lambda folder: (folder / "link").symlink_to("/"), "holds link"),
        (lambda folder: manifest_path(folder).unlink(), "has no manifest that says merge made it"),
        (lambda folder: manifest_path(folder).write_text("{}"), "is damaged or not of merge"),
        (lambda folder: write_manifest(folder, stage="index", fingerprint=""), "was made by index"),
        (forget_files, "did not list its files; remove the folder"),
    ],
)
def test_what_is_not_the_stages_own_is_refused_and_stays(tmp_path, spoil, message):
    target = tmp_path / "model"
    put(target, x="1", sub_y="2")
    spoil(target)
    before = {path: path.is_file() and path.read_bytes() for path in target.rglob("*")}
    with pytest.raises(InputError, match=message), new_folder(target, "merge"):
        raise AssertionError("not reached")
    assert {path: path.is_file() and path.read_bytes() for path in target.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_the_user_adds_meanwhile_is_seen_too(tmp_path):
    target = tmp_path / "model"
    put(target, x="1")
    with pytest.raises(InputError, match=r"holds notes\.txt"), new_folder(target, "merge") as folder:
        (target / "notes.txt").write_text("mine")
        fill(folder, {"x": "2"})
    assert content(target) == {"x": "1", "notes.txt": "mine"}


def test_places_that_are_never_a_stages_own(tmp_path, monkeypatch):
    (tmp_path / "home" / "work" / "here").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "home")
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home" / "work" / "here")
    for place in ("/", ".", "..", tmp_path / "home", tmp_path, tmp_path / "home" / "work" / ".."):
        with pytest.raises(InputError, match="home folder or the working directory"):
            claim_folder(Path(place), "merge")
    with pytest.raises(InputError, match="is a link"):
        claim_folder(tmp_path / "link", "merge")
    with pytest.raises(InputError, match="is a file"):
        claim_folder(tmp_path / "file", "merge")
    claim_folder(Path("new"), "merge")


@pytest.mark.parametrize("moment", range(1, 9))
def test_a_kill_leaves_the_old_folder_or_the_new_one(tmp_path, monkeypatch, moment):
    target = tmp_path / "model"
    put(target, x="old")
    with monkeypatch.context() as patch:
        killed, left = kill_at(patch, moment)
        try:
            put(target, y="new")
            ended = True
        except killed:
            ended = False
    assert ended == (left[0] > 0)
    claim_folder(target, "merge")  # what the next run does first
    assert content(target) in ({"x": "old"}, {"y": "new"})
    put(target, z="newest")
    assert content(target) == {"z": "newest"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_at_work_is_not_taken_for_one_that_a_kill_has_left(tmp_path):
    (tmp_path / ".model.0123456789ab.new").mkdir()
    (tmp_path / ".model.v2.0123456789ab.old").mkdir()
    with new_folder(tmp_path / "model", "merge") as one:
        with new_folder(tmp_path / "model", "merge") as two:
            fill(two, {"x": "2"})
        assert one.is_dir()
        fill(one, {"x": "1"})
    assert content(tmp_path / "model") == {"x": "1"}
    assert {path.name for path in tmp_path.iterdir()} == {"model", ".model.v2.0123456789ab.old"}


def test_files_go_among_those_of_others(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("mine")
    put_files(tmp_path / "data", a="1", b="1")
    put_files(tmp_path / "data", b="2", c="2")
    assert content(tmp_path / "data") == {"notes.txt": "mine", "b": "2", "c": "2"}
    with pytest.raises(ZeroDivisionError), new_files(tmp_path / "data", ["questions"], NAMES):
        raise ZeroDivisionError
    assert content(tmp_path / "data") == {"notes.txt": "mine", "b": "2", "c": "2"}
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"notes.txt", "b", "c", "manifest.json"}


def test_a_file_of_the_same_name_from_elsewhere_is_refused_and_stays(tmp_path):
    (tmp_path / "b").write_text("mine")
    with pytest.raises(InputError, match="holds b, and no manifest says that questions made it"):
        put_files(tmp_path, a="1", b="1")
    assert content(tmp_path) == {"b": "mine"}
    (tmp_path / "b").unlink()
    put_files(tmp_path, a="1")
    (tmp_path / "b").write_text("mine")  # the manifest lists a alone
    with pytest.raises(InputError, match="holds b"):
        put_files(tmp_path, a="1", b="1")
    (tmp_path / "b").unlink()
    with (
        pytest.raises(InputError, match="holds b"),
        new_files(tmp_path, ["questions"], NAMES) as work,
    ):
        (tmp_path / "b").mkdir()
        fill(work, {"b": "1"}, "questions")
    assert content(tmp_path) == {"a": "1"}


def test_files_of_another_stage_or_under_a_foreign_manifest_are_refused(tmp_path):
    put_files(tmp_path, a="1")
    with pytest.raises(InputError, match=r"--out .*: was made by questions"), new_files(tmp_path, ["x"], "a"):
        pass
    manifest_path(tmp_path).write_text('{"name": "my web site"}')
    with pytest.raises(InputError, match=r"manifest\.json there is damaged or not of questions"):
        put_files(tmp_path, a="2")
    assert content(tmp_path) == {"a": "1"}


@pytest.mark.parametrize("moment", range(1, 12))
def test_a_kill_leaves_the_old_files_or_the_new_ones(tmp_path, monkeypatch, moment):
    (tmp_path / "notes.txt").write_text("mine")
    put_files(tmp_path, a="old", b="old")
    with monkeypatch.context() as patch:
        killed, left = kill_at(patch, moment)
        try:
            put_files(tmp_path, b="new", c="new")
            ended = True
        except killed:
            ended = False
    assert ended == (left[0] > 0)
    if manifest_path(tmp_path).is_file() and not (tmp_path / READY).exists():  # else it counts as unfinished
        shown = {name: text for name, text in content(tmp_path).items() if name in NAMES}
        assert shown in ({"a": "old", "b": "old"}, {"b": "new", "c": "new"})
    with pytest.raises(ZeroDivisionError), new_files(tmp_path, ["questions"], NAMES):
        raise ZeroDivisionError  # the next run, which fails, puts things right first
    found = {name: text for name, text in content(tmp_path).items() if name != "notes.txt"}
    assert found in ({"a": "old", "b": "old"}, {"b": "new", "c": "new"})
    put_files(tmp_path, c="newest")
    assert content(tmp_path) == {"notes.txt": "mine", "c": "newest"}
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "c", "manifest.json"}


def test_files_of_an_older_version_which_kept_no_list_are_those_of_its_names(tmp_path):
    put_files(tmp_path, a="1", b="1")
    (tmp_path / "notes.txt").write_text("mine")
    forget_files(tmp_path)
    put_files(tmp_path, b="2")
    assert content(tmp_path) == {"notes.txt": "mine", "b": "2"}


def test_a_hostile_list_of_files_removes_nothing_elsewhere(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    put_files(tmp_path / "data", a="1")
    write_manifest(tmp_path / "data", stage="questions", fingerprint="", files=["../mine.txt", "a"])
    put_files(tmp_path / "data", b="2")
    assert content(tmp_path) == {"mine.txt": "mine", "data/b": "2"}


def test_a_file_is_its_makers_alone(tmp_path):
    path = tmp_path / "kept.jsonl"
    claim_file(path, "filter", "--output")
    path.touch()
    claim_file(path, "filter", "--output")
    path.write_text("mine")
    with pytest.raises(InputError, match="no manifest says that filter made it; give another --output"):
        claim_file(path, "filter", "--output")
    write_manifest(path, stage="filter", fingerprint="", files=["kept.jsonl", "stats.json"])
    (tmp_path / "stats.json").write_text("{}")
    claim_file(path, "filter", "--output")
    claim_file(tmp_path / "stats.json", "filter", "--stats", made_with=path)
    with pytest.raises(InputError, match="was made by filter"):
        claim_file(path, "collect", "--output")
    os.mkfifo(tmp_path / "pipe")
    for other in ("pipe", "other.json"):
        (tmp_path / "other.json").write_text("mine")
        with pytest.raises(InputError, match="--stats"):
            claim_file(tmp_path / other, "filter", "--stats", made_with=path)
