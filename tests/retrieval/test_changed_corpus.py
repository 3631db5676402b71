"""An index that is built over an earlier one is the one that is built from nothing; only what has changed is read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_corpus import Searching, page_of

from drag_rl.corpus import pages as corpus
from drag_rl.corpus.pool import PoolDecision, write_pool
from drag_rl.files.manifest import read_manifest
from drag_rl.retrieval import PageTexts, build_index, joined_terms, page_store, piece_maker
from drag_rl.retrieval.build import write_index
from drag_rl.retrieval.build_progress import BuildProgress
from drag_rl.retrieval.earlier import Earlier
from drag_rl.retrieval.sparse.index import Bm25Index
from drag_rl.retrieval.stopwords import STOPWORDS
from drag_rl.retrieval.tokenizer import Tokenizer

words = st.sampled_from(["fox", "foxes", "tree", "\u9996\u90fd", "the"])
texts = st.lists(words, max_size=4).map(" ".join)
corpora = st.dictionaries(st.sampled_from("abcdef"), st.lists(texts, min_size=1, max_size=4), min_size=1)


def pages_of(folder: Path, documents: Mapping[str, list[str]]) -> Path:
    pages = [
        page_of(document, number, text)
        for document in sorted(documents)
        for number, text in enumerate(documents[document], start=1)
    ]
    corpus.write_pages(folder, pages, stage="ingest", pdf_dir=None)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


class Told(BuildProgress):
    def __init__(self) -> None:
        self.kept: tuple[int, int] | None = None

    def taken_over(self, documents: int, of: int) -> None:
        self.kept = documents, of


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_store, "BATCH_PAGES", 4)
    monkeypatch.setattr(piece_maker, "PIECE_PAGES", 3)
    monkeypatch.setattr(joined_terms, "PAGES_AT_ONCE", 5)


@pytest.mark.usefixtures("small_pieces")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=corpora, edits=corpora, removed=st.sets(st.sampled_from("abcdef"), max_size=3))
def test_an_updated_index_is_a_rebuilt_one(
    before: dict[str, list[str]], edits: dict[str, list[str]], removed: set[str]
) -> None:
    after = {name: pages for name, pages in (before | edits).items() if name not in removed}
    for documents in (before, after):
        documents["y"] = ["a word at least"]
    told = Told()
    with tempfile.TemporaryDirectory() as work:
        folders = [Path(work, name) for name in ("before", "updated", "rebuilt")]
        for folder in folders:
            folder.mkdir()
        write_index(folders[0], texts_of(before), Bm25Index())
        write_index(folders[1], texts_of(after), Bm25Index(), earlier=folders[0], progress=told)
        write_index(folders[2], texts_of(after), Bm25Index())
        assert files(folders[1]) == files(folders[2])
    known = texts_of(before).items()
    assert told.kept == (sum(texts_of({name: after[name]}).items() <= known for name in after), len(after))


def texts_of(documents: Mapping[str, list[str]]) -> dict[str, str]:
    return {f"{name}#{n}": text for name, pages in documents.items() for n, text in enumerate(pages, start=1)}


DOCUMENTS = {"a": ["red fox", "blue fox"], "b": ["green tree"], "c": ["a bird"]}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The texts whose words were read."""
    seen: list[str] = []
    words = Tokenizer.words

    def noted(self: Tokenizer, text: str) -> Any:
        seen.append(text)
        return words(self, text)

    monkeypatch.setattr(Tokenizer, "words", noted)
    yield seen


def test_only_changed_pages_are_read_again(tmp_path: Path, read: list[str]) -> None:
    build_index(pages_of(tmp_path / "pages", DOCUMENTS), tmp_path / "index")
    read.clear()
    changed = DOCUMENTS | {"a": ["red fox", "blue foxes"], "d": ["a new one"]}
    del changed["c"]
    build_index(pages_of(tmp_path / "pages", changed), tmp_path / "index")
    assert read == ["blue foxes", "a new one"]
    rebuilt, _ = build_index(tmp_path / "pages", tmp_path / "rebuilt")
    updated = read_manifest(tmp_path / "index")
    assert (updated.fingerprint, updated.counts) == (rebuilt.fingerprint, rebuilt.counts)
    index = Searching.load(tmp_path / "index", tmp_path / "pages")
    assert [hit.page_id for hit in index.search("foxes new", 5).hits] == ["d#1", "a#1", "a#2"]
    assert "c#1" not in index


def test_a_changed_pool_leaves_the_rest_as_it_is(tmp_path: Path, read: list[str]) -> None:
    pages = pages_of(tmp_path / "pages", DOCUMENTS)
    build_index(pages, tmp_path / "index")
    read.clear()
    write_pool(pages, [PoolDecision(page_id="a#1", in_pool=False, reason="contents")])
    manifest, built = build_index(pages, tmp_path / "index")
    assert built and not read and manifest.counts["pages_left_out_contents"] == 1


@pytest.mark.parametrize("case", ["other options", "other versions", "other stop words", "damaged"])
def test_nothing_is_taken_from_an_index_that_may_differ(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    build_index(pages_of(tmp_path / "pages", DOCUMENTS), tmp_path / "index")
    read.clear()
    options = {}
    if case == "other options":
        options = {"stemmer": "german"}
    elif case == "other versions":
        monkeypatch.setattr("drag_rl.retrieval.earlier.package_version", lambda name: f"another {name}")
    elif case == "other stop words":
        monkeypatch.setitem(STOPWORDS, "en", ("fox",))
    else:
        path = tmp_path / "index" / "term_ids.npy"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    build_index(pages_of(tmp_path / "pages", DOCUMENTS | {"d": ["new"]}), tmp_path / "index", **options)
    assert read == ["red fox", "blue fox", "green tree", "a bird", "new"]


def test_a_reader_keeps_the_index_that_it_has_opened(tmp_path: Path) -> None:
    build_index(pages_of(tmp_path / "pages", DOCUMENTS), tmp_path / "index")
    reader = Searching.load(tmp_path / "index")
    build_index(pages_of(tmp_path / "pages", {"a": ["nothing is left"]}), tmp_path / "index")
    assert [hit.snippet for hit in reader.search("tree", 3).hits] == ["green tree"]
    assert Searching.load(tmp_path / "index").search("tree", 3).hits == ()


def test_a_kind_is_told_which_pages_it_has_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[list[str | None], list[str]]] = []

    def update(self: Bm25Index, folder: Path, pages: PageTexts, earlier: Earlier) -> None:
        assert (earlier.folder / "manifest.json").is_file()
        before = [earlier.pages.page_ids[row] if row >= 0 else None for row in earlier.rows]
        told.append((before, list(pages.page_ids)))
        self.write(folder, pages)

    monkeypatch.setattr(Bm25Index, "update", update)
    build_index(pages_of(tmp_path / "pages", DOCUMENTS), tmp_path / "index")
    build_index(pages_of(tmp_path / "pages", {"0": ["x"], "a": ["red", "blue fox"]}), tmp_path / "index")
    build_index(pages_of(tmp_path / "pages", {"p": ["nothing in common"]}), tmp_path / "index")
    assert told == [([None, None, "a#2"], ["0#1", "a#1", "a#2"])]
    assert np.array_equal(PageTexts.open(tmp_path / "index").page_ids.rows_of("p"), [0])
