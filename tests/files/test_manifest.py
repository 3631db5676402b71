"""A manifest is read back as written, or refused by name; a file is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from drag_rl.errors import InputError
from drag_rl.files.manifest import (
    Problem,
    atomic_write,
    manifest_path,
    package_version,
    read_manifest,
    sha256_file,
    write_manifest,
)


def write(artefact):
    return write_manifest(
        artefact,
        stage="ingest",
        fingerprint="ab",
        inputs={"pages": "cd"},
        config={"dpi": 96, "ocr": None},
        counts={"pages": 3},
        problems=[Problem(where="a.pdf", reason="empty file")],
        seconds=1.5,
        packages=["pyarrow", "no-such-package"],
    )


def test_a_manifest_is_read_back_as_written(tmp_path):
    written = write(tmp_path)
    assert read_manifest(tmp_path) == written
    assert written.versions["pyarrow"] == package_version("pyarrow")
    assert written.versions["no-such-package"] == "absent"


def test_the_manifest_of_a_file_lies_beside_it(tmp_path):
    artefact = tmp_path / "rows.jsonl"
    artefact.write_text("{}\n")
    write(artefact)
    assert manifest_path(artefact) == tmp_path / "rows.jsonl.manifest.json"
    assert read_manifest(artefact).counts == {"pages": 3}


def test_an_unfinished_and_a_missing_artefact_are_told_apart(tmp_path):
    with pytest.raises(InputError, match="is unfinished"):
        read_manifest(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"problems": [{"x": 1}]}', '{"problems": 3}'])
def test_a_garbled_manifest_is_refused(tmp_path, text):
    manifest_path(tmp_path).write_text(text)
    with pytest.raises(InputError, match="garbled manifest"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["fingerprint", "counts", "config"])
def test_a_manifest_with_a_wrong_kind_of_value_is_refused(tmp_path, name):
    write(tmp_path)
    found = json.loads(manifest_path(tmp_path).read_text())
    manifest_path(tmp_path).write_text(json.dumps(found | {name: 3}))
    with pytest.raises(InputError, match=name):
        read_manifest(tmp_path)


def test_a_manifest_lists_what_the_stage_made(tmp_path):
    (tmp_path / "deep" / "empty").mkdir(parents=True)
    (tmp_path / "deep" / "b").touch()
    (tmp_path / "link").symlink_to("nowhere")
    write(tmp_path)
    assert write(tmp_path).files == read_manifest(tmp_path).files == ("deep/b", "deep/empty", "link")
    assert write(tmp_path / "deep" / "b").files == ("b",)


def test_a_manifest_of_an_older_version_lists_nothing_or_in_its_settings(tmp_path):
    write(tmp_path)
    found = json.loads(manifest_path(tmp_path).read_text())
    del found["files"]
    manifest_path(tmp_path).write_text(json.dumps(found))
    assert read_manifest(tmp_path).files is None
    manifest_path(tmp_path).write_text(json.dumps(found | {"config": {"files": {"a": "sha256"}}}))
    assert read_manifest(tmp_path).files == ("a",)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write("half")
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == []
    with atomic_write(path) as file:
        file.write("whole ü")
    with atomic_write(tmp_path / "bytes", "wb") as file:
        file.write(b"\x00\xff")
    with pytest.raises(IsADirectoryError, match="is a folder"), atomic_write(tmp_path / "deep") as file:
        pass
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is no regular file"), atomic_write(tmp_path / "pipe") as file:
        pass
    assert path.read_text(encoding="utf-8") == "whole ü"
    assert sha256_file(tmp_path / "bytes") == hashlib.sha256(b"\x00\xff").hexdigest()
