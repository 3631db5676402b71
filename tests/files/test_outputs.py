"""No command writes over what it reads, nor over what else it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from drag_rl.errors import InputError
from drag_rl.files.outputs import refuse_overlap


def test_places_apart_are_fine(tmp_path):
    refuse_overlap(
        {"--out": tmp_path / "a", "--stats": tmp_path / "b", "--trec": None},
        {"--input": [tmp_path / "c", tmp_path / "c"], "--pages": tmp_path, "--split-from": None},
    )


@pytest.mark.parametrize(
    "output", ["in", "./x/../in", "link", "hard", "in.manifest.json", "way/in", "in.manifest.json/"]
)
def test_an_input_is_found_by_whatever_way_leads_there(tmp_path, output):
    (tmp_path / "in").write_text("data")
    (tmp_path / "link").symlink_to("in")
    (tmp_path / "hard").hardlink_to(tmp_path / "in")
    (tmp_path / "way").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"--out .*: would overwrite --input .*/in; give another --out"):
        refuse_overlap({"--out": tmp_path / output}, {"--input": [tmp_path / "in"]})


def test_two_outputs_are_two_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for second in ("out", tmp_path / "out", "out.manifest.json"):
        with pytest.raises(InputError, match=r"--stats .*: would overwrite --output out"):
            refuse_overlap({"--output": Path("out"), "--stats": Path(second)}, {})
    with pytest.raises(InputError, match=r"--out \.: would overwrite --pages"):
        refuse_overlap({"--out": Path()}, {"--pages": tmp_path})
