"""An index is whole or refused; it is built once and replaced at a stroke; what is left out is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_corpus import Searching, index_of, write_pages

from drag_rl.corpus.pool import PoolDecision, write_pool
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval import build_index, index_folder

TEXTS = ["red fox", "blue fox", "green tree", "index of foxes"]


def test_failed_and_left_out_pages_cannot_be_found(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", TEXTS, failed=(2,))
    decisions = [PoolDecision(page_id=f"doc#{n}", in_pool=True, reason="") for n in range(1, 4)]
    decisions.append(PoolDecision(page_id="doc#4", in_pool=False, reason="index"))
    write_pool(pages, decisions)
    manifest, _ = build_index(pages, tmp_path / "index")
    index = Searching.load(tmp_path / "index", pages)
    assert index.page_ids == ("doc#1", "doc#3")
    assert manifest.counts["pages_failed"] == 1 and manifest.counts["pages_left_out_index"] == 1


def test_an_unchanged_index_is_not_built_again_and_a_changed_one_is(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", TEXTS)
    first, built = build_index(pages, tmp_path / "index")
    assert built
    assert build_index(pages, tmp_path / "index") == (first, False)
    _, built = build_index(pages, tmp_path / "index", k1=0.9)
    assert built
    (tmp_path / "index" / "texts.arrow").unlink()
    _, built = build_index(pages, tmp_path / "index", k1=0.9)
    assert built and len(Searching.load(tmp_path / "index")) == 4
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_pages_give_the_same_index(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", TEXTS)
    one, _ = build_index(pages, tmp_path / "one")
    two, _ = build_index(pages, tmp_path / "two")
    assert one.fingerprint == two.fingerprint


DAMAGES = {
    "missing": lambda _: None,
    "truncated": lambda content: content[:-3],
    "longer": lambda content: content + b"x",
    "flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_refused(tmp_path: Path, damage: str) -> None:
    index_of(tmp_path, TEXTS)
    names = read_manifest(tmp_path / "index").files or ()
    assert {"texts.arrow", "term_ids.npy", "terms.arrow", "tokenizer.json"} < {*names}
    for name in names:
        with (
            damaged(tmp_path / "index" / name, damage),
            pytest.raises(InputError, match=f"{name}.*drag index"),
        ):
            Searching.load(tmp_path / "index")
    assert len(Searching.load(tmp_path / "index")) == len(TEXTS)


@pytest.mark.parametrize("damage", DAMAGES)
def test_of_large_files_only_the_size_is_looked_at_until_they_are_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    index_of(tmp_path, TEXTS)
    path = tmp_path / "index" / "texts.arrow"
    monkeypatch.setattr(index_folder, "SMALL_BYTES", path.stat().st_size - 1)
    with damaged(path, damage):
        if damage == "flipped":
            assert index_folder.check_files(tmp_path / "index").stage == "index"
        else:
            with pytest.raises(InputError, match=r"texts.arrow.*drag index"):
                index_folder.check_files(tmp_path / "index")
        with pytest.raises(InputError, match=r"texts.arrow.*drag index"):
            index_folder.verify_files(tmp_path / "index")
    assert index_folder.verify_files(tmp_path / "index") == index_folder.check_files(tmp_path / "index")


@contextmanager
def damaged(path: Path, damage: str) -> Iterator[None]:
    """A file in a bad state, which is good again afterwards."""
    content = path.read_bytes()
    changed = DAMAGES[damage](content)
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    yield
    path.write_bytes(content)


def test_a_missing_unfinished_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Searching.load(tmp_path / "nowhere")
    index_of(tmp_path, TEXTS)
    with pytest.raises(InputError, match="no search index"):
        Searching.load(tmp_path / "pages")
    with pytest.raises(InputError, match="is not a folder of pages but was made by index"):
        build_index(tmp_path / "index", tmp_path / "other")
    (tmp_path / "index" / "manifest.json").unlink()
    with pytest.raises(InputError, match="unfinished"):
        Searching.load(tmp_path / "index")


def test_an_index_of_other_pages_is_refused(tmp_path: Path) -> None:
    index_of(tmp_path, TEXTS)
    Searching.load(tmp_path / "index", tmp_path / "pages")
    other = write_pages(tmp_path / "other", [*TEXTS, "one more"])
    with pytest.raises(InputError, match="was not made from"):
        Searching.load(tmp_path / "index", other)
    write_pool(tmp_path / "pages", [PoolDecision(page_id="doc#1", in_pool=False, reason="index")])
    with pytest.raises(InputError, match="was not made from"):
        Searching.load(tmp_path / "index", tmp_path / "pages")


def test_something_else_is_never_overwritten(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", TEXTS)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(InputError, match="give another --out"):
        build_index(pages, tmp_path / "thesis")
    with pytest.raises(InputError, match="give another --out"):
        build_index(pages, pages)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


def test_a_failed_build_leaves_the_older_index(tmp_path: Path) -> None:
    index_of(tmp_path, TEXTS)
    empty = write_pages(tmp_path / "empty", ["", " . "])
    with pytest.raises(InputError, match="no page has a word"):
        build_index(empty, tmp_path / "index")
    assert len(Searching.load(tmp_path / "index")) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "index", "pages"]


@pytest.mark.parametrize(
    "wrong", [{"stemmer": "klingon"}, {"stopwords": "xx"}, {"k1": -1.0}, {"b": 1.5}, {"k1": float("nan")}]
)
def test_wrong_options_are_named(tmp_path: Path, wrong: dict[str, object]) -> None:
    pages = write_pages(tmp_path / "pages", TEXTS)
    with pytest.raises(InputError, match=next(iter(wrong))):
        build_index(pages, tmp_path / "index", **wrong)  # type: ignore[arg-type]


def test_options_are_kept_in_the_manifest(tmp_path: Path) -> None:
    index = index_of(tmp_path, ["die Häuser", "das Haus"], stemmer="german", stopwords="de", method="atire")
    config = index.manifest.config
    assert (config["stemmer"], config["stopwords"], config["method"]) == ("german", "de", "atire")
    assert len(index.search("haus", 5).hits) == 0  # atire: a term on every page tells nothing
    settings = json.loads((tmp_path / "index" / "tokenizer.json").read_text())
    assert settings["stemmer"] == "german" and "das" in settings["stopwords"]
