"""From pages to hits through the console command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import toy_retriever
from tiny_corpus import page_of, write_pages

from drag_rl.cli.main import main
from drag_rl.corpus import pages as corpus
from drag_rl.retrieval.kinds import INDEX_KINDS


def drag(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_index_then_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = write_pages(tmp_path / "pages", ["red fox [bold]", "blue fox", "green tree"], failed=(3,))
    assert drag("index", "--pages", pages, "--out", tmp_path / "index", "--k1", "0.9") == 0
    said = capsys.readouterr().out
    assert "Indexed 2 pages" in said and "failed: 1" in said
    assert drag("index", "--pages", pages, "--out", tmp_path / "index", "--k1", "0.9") == 0
    assert "up to date" in capsys.readouterr().out
    assert drag("search", "--index", tmp_path / "index", "--json", "red", "foxes") == 0
    hits = json.loads(capsys.readouterr().out)
    assert [(hit["page_id"], hit["rank"]) for hit in hits] == [("doc#1", 1), ("doc#2", 2)]
    assert hits[0]["snippet"] == "red fox [bold]" and hits[0]["score"] > hits[1]["score"]
    assert drag("search", "--index", tmp_path / "index", "foxes") == 0
    assert "[bold]" in capsys.readouterr().out
    assert drag("search", "--index", tmp_path / "index", "--json", "zebra") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_bad_input_is_one_line_and_exit_code_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drag("search", "--index", tmp_path / "none", "fox") == 2
    assert drag("index", "--pages", tmp_path / "none", "--out", tmp_path / "index") == 2
    pages = write_pages(tmp_path / "pages", ["red fox"])
    assert drag("index", "--pages", pages, "--out", tmp_path / "index", "--stemmer", "klingon") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("drag: ") for line in lines)


def test_a_scope_is_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [page_of("cars", 1, "red fox"), page_of("foxes", 1, "a fox"), page_of("foxes", 2, "red foxes")]
    corpus.write_pages(tmp_path / "pages", pages, stage="ingest", pdf_dir=None)
    assert drag("index", "--pages", tmp_path / "pages", "--out", tmp_path / "index", "--kind", "bm25") == 0
    capsys.readouterr()
    search = ("search", "--index", tmp_path / "index", "--json", "red")
    assert drag(*search, "--scope", "foxes") == 0
    assert [(hit["page_id"], hit["rank"]) for hit in json.loads(capsys.readouterr().out)] == [("foxes#2", 1)]
    assert drag(*search, "--scope", "planes") == 2
    assert capsys.readouterr().err == "drag: document 'planes' has no page in the index\n"


def test_an_unknown_kind_of_index_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = write_pages(tmp_path / "pages", ["red fox"])
    assert drag("index", "--pages", pages, "--out", tmp_path / "index", "--kind", "dense2") == 2
    assert drag("index", "--pages", pages, "--out", tmp_path / "index") == 0
    path = tmp_path / "index" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"config": manifest["config"] | {"kind": "toy"}}))
    assert drag("search", "--index", tmp_path / "index", "fox") == 2
    bad_option, bad_folder = capsys.readouterr().err.splitlines()
    known = ", ".join(INDEX_KINDS)
    assert bad_option == f"drag: --kind: unknown kind of index 'dense2'; known kinds of index: {known}"
    assert bad_folder.endswith(
        f"index: unknown kind of index 'toy'; known kinds of index: {known}; is the package "
        "that made it installed?"
    )


PROGRAM = """
import sys
from drag_rl.cli.main import main
for words in sys.argv[1].split(" ; "):
    try:
        main(words.split())
    except SystemExit as stop:
        print("exit code", stop.code)
"""


@pytest.mark.slow
def test_the_kind_of_an_installed_package_is_built_and_searched_by_its_name(tmp_path: Path) -> None:
    write_pages(tmp_path / "pages", ["red fox", "blue fox", "green tree"])
    index = "index --pages pages --out index --kind toy"
    commands = [
        f"{index} --dimensions 512",
        "search --index index --json blue tree",
        f"{index} --k1 1",
        "index --help",
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, " ; ".join(commands)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": toy_retriever.installed_in(tmp_path / "site"), "COLUMNS": "150"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    indexed, found, refused, helped = done.stdout.split("exit code")[:4]
    assert "Indexed 3 pages" in indexed, done.stderr
    assert [hit["page_id"] for hit in json.loads(found.removeprefix(" 0"))] == ["doc#2", "doc#3"]
    assert done.stderr == "drag: --k1 is no option of --kind toy\n" and refused == " 0\n"
    assert "Options of --kind toy" in helped and "Length of a vector." in helped
    assert json.loads((tmp_path / "index" / "manifest.json").read_text())["config"]["kind"] == "toy"
