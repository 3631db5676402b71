"""``drag search --explain``: where a page matches, as a picture."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from colour_pages import ColourRetriever, page_image
from PIL import Image
from test_cli_main import exit_code
from tiny_corpus import index_of

from drag_rl.cli.main import main

IMAGES = {"a#1": page_image({(0, 0): "red"}), "a#2": page_image({(2, 1): "blue"})}


@pytest.fixture
def drag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs ``drag search`` over pages of colours; gives exit code, output and errors."""
    monkeypatch.setattr("drag_rl.cli.search.open_retriever", lambda _: ColourRetriever(IMAGES))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["search", "--index", "index", *words])
        return int(stop.value.code or 0), *capsys.readouterr()

    return run


def test_the_best_page_is_drawn(drag):
    code, out, err = drag("blue", "--explain", "why.png")
    assert code == 0 and "a#2" in out and err == "why.png: where a#2 matches the query\n"
    with Image.open("why.png") as picture:
        assert picture.format == "PNG" and picture.width > 600


def test_any_page_is_drawn_and_json_stays_json(drag):
    code, out, err = drag("blue", "--json", "--explain", "why.png", "--explain-page", "a#1")
    assert code == 0 and [hit["page_id"] for hit in json.loads(out)] == ["a#2", "a#1"]
    assert err == "why.png: where a#1 matches the query\n"
    assert drag("blue", "--explain", "why.png", "--explain-page", "2")[2].startswith("why.png: where a#1")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("blue", "--explain", "why.jpg"), "--explain why.jpg: should end in .png"),
        (("blue", "--explain", "mine.png"), "--explain mine.png: is there, and is no heat map of ours"),
        (("blue", "--explain-page", "a#1"), "--explain-page needs --explain OUT.png"),
        (("-i", "--explain", "why.png"), "--explain is for one query"),
        (("blue", "--explain", "why.png", "--explain-page", "b#1"), "page 'b#1' is not in the index"),
        (("blue", "--explain", "why.png", "--explain-page", "9"), "no hit 9: the last search has 2 hits"),
        ((" ", "--explain", "why.png"), "no page matches, so none can be explained"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(drag, words, wrong):
    Path("mine.png").write_bytes(b"a picture of mine")
    code, _, err = drag(*words)
    assert code == 2 and wrong in err and len(err.splitlines()) == 1
    assert Path("mine.png").read_bytes() == b"a picture of mine" and not Path("why.png").exists()


def test_an_index_of_texts_says_that_it_sees_no_pages(tmp_path, capsys):
    index_of(tmp_path, ["red fox"])
    capsys.readouterr()
    words = ["search", "--index", str(tmp_path / "index"), "fox", "--explain", str(tmp_path / "why.png")]
    assert exit_code(main, words) == 2
    assert "cannot show why a page matched: give one of --kind late" in capsys.readouterr().err
    assert not (tmp_path / "why.png").exists()


def test_asking_query_after_query_each_can_be_drawn(drag, monkeypatch):
    lines = (":explain a.png", "red", ":explain", ":explain a.png", ":explain b.png a#2")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    code, out, _ = drag("--interactive")
    assert code == 0 and Path("a.png").exists() and Path("b.png").exists()
    assert "there is no query to explain" in out and ":explain why.png" in out
    assert "a.png: where a#1 matches the query" in out and "b.png: where a#2 matches the query" in out
