"""Searching by hand, query after query, with lines that come in by a pipe."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from tiny_corpus import page_of

from drag_rl.cli.main import main
from drag_rl.corpus.pages import write_pages
from drag_rl.retrieval import build_index


@pytest.fixture
def index(tmp_path: Path) -> Path:
    pages = [
        page_of("cars", 1, "red fox"),
        page_of("foxes", 1, "a fox \x1b[31mfox\x1b[0m"),
        page_of("foxes", 2, "red foxes\nlive in dens"),
    ]
    write_pages(tmp_path / "pages", pages, stage="ingest", pdf_dir=None)
    build_index(tmp_path / "pages", tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def said(index, capsys, monkeypatch):
    def prompt(*lines: str, words: tuple[str, ...] = ()) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        with pytest.raises(SystemExit) as stop:
            main(["search", "--index", str(index), "--interactive", *words])
        assert not stop.value.code
        return capsys.readouterr().out

    return prompt


def pages_in(text: str) -> list[str]:
    return re.findall(r"(?:cars|foxes)#\d", text)


def test_each_line_is_a_search_until_the_input_ends(said):
    assert pages_in(said("live dens", "", "cars zebra", "red")) == ["foxes#2", "cars#1", "foxes#2"]


def test_the_number_of_pages_and_the_document_can_be_set(said):
    assert pages_in(said(":k 1", "red")) == ["cars#1"]
    assert pages_in(said(":scope foxes", "red")) == ["foxes#2"]
    assert pages_in(said(":scope foxes", ":scope", ":k 9", "red")) == ["cars#1", "foxes#2"]


def test_a_hit_or_any_page_is_opened(said):
    assert "foxes#2\nred foxes\nlive in dens\n" in said("dens", ":open 1")
    assert "cars#1\nred fox\n" in said(":open cars#1", ":q", "not searched")


def test_nothing_that_a_page_holds_is_obeyed_by_the_terminal(said):
    assert "\x1b" not in said("fox", ":open foxes#1")


def test_a_wrong_line_is_said_and_the_next_one_is_done(said):
    found = said(":open 1", ":open nowhere", ":k none", ":scope planes", ":what", "dens")
    for part in (
        "has 0 hits",
        "'nowhere' is not in the index",
        ":k 5",
        "'planes' has no page",
        "as ctrl-d does",
    ):
        assert part in found
    assert pages_in(found) == ["foxes#2"]


def test_words_on_the_command_line_are_the_first_search(said):
    assert pages_in(said("dens", words=("red", "fox", "--top-k", "1"))) == ["cars#1", "foxes#2"]


def test_timings_stand_beside_the_hits(said, index, capsys):
    timed = r"search \d+\.\d ms, snippets \d+\.\d ms"
    assert len(re.findall(timed, said("red", "dens", words=("--timings",)))) == 2
    with pytest.raises(SystemExit):
        main(["search", "--index", str(index), "--json", "--timings", "dens"])
    out, err = capsys.readouterr()
    assert [hit["page_id"] for hit in json.loads(out)] == ["foxes#2"] and re.fullmatch(timed, err.strip())


@pytest.mark.parametrize(
    ("words", "wrong"), [((), "QUERY is missing"), (("--interactive", "--json"), "--json is for one query")]
)
def test_what_does_not_fit_together_is_one_line(index, capsys, words, wrong):
    with pytest.raises(SystemExit) as stop:
        main(["search", "--index", str(index), *words])
    assert stop.value.code == 2 and wrong in capsys.readouterr().err
