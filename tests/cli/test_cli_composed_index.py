"""Indexes made of others, through the console command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_corpus import write_pages

from drag_rl.cli.main import main


def drag(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


@pytest.fixture
def parts(tmp_path: Path) -> list[object]:
    """Two indexes of three pages, as options."""
    pages = write_pages(tmp_path / "pages", ["red fox", "blue fox", "green tree"])
    for name, k1 in (("one", 0.5), ("two", 2.0)):
        assert drag("index", "--pages", pages, "--out", tmp_path / name, "--k1", k1) == 0
    return ["--part", tmp_path / "one", "--part", tmp_path / "two"]


def test_a_fused_and_a_reranking_index_are_built_and_searched(
    tmp_path: Path, parts: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    fuse = ("--kind", "fuse", "--method", "sum", "--weight", 2, "--weight", 1)
    assert drag("index", "--out", tmp_path / "fused", *fuse, *parts) == 0
    assert drag("index", "--out", tmp_path / "best", "--kind", "rerank", *parts, "--candidates", 2) == 0
    capsys.readouterr()
    for name in ("fused", "best"):
        assert drag("search", "--index", tmp_path / name, "--json", "blue fox") == 0
        assert [hit["page_id"] for hit in json.loads(capsys.readouterr().out)] == ["doc#2", "doc#1"]


def test_an_index_is_no_part_of_itself(
    tmp_path: Path, parts: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / "two" / "manifest.json").read_bytes()
    assert drag("index", "--out", tmp_path / "two", "--kind", "fuse", *parts) == 2
    assert capsys.readouterr().err.endswith(
        f"would overwrite --part {tmp_path / 'two'}; give another --out\n"
    )
    assert (tmp_path / "two" / "manifest.json").read_bytes() == before


def test_an_option_of_two_kinds_takes_what_its_kind_knows(
    tmp_path: Path, parts: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    pages = ("--pages", tmp_path / "pages")
    assert drag("index", "--out", tmp_path / "new", *pages, "--method", "rrf") == 2
    assert drag("index", "--out", tmp_path / "new", "--kind", "fuse", *parts, "--method", "lucene") == 2
    assert drag("index", "--out", tmp_path / "new", *pages, "--method", "atire") == 0
    bm25, fuse = capsys.readouterr().err.splitlines()
    assert bm25 == "drag: --method 'rrf' is not known; choose lucene, robertson, atire"
    assert fuse == "drag: --method 'lucene' is not known; choose rrf, union, intersection, sum"
