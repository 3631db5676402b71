"""Pages become passages that fit, and vectors are made once, whatever happens to the build."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from embeddings_stand_in import MODEL, EmbeddingsStandIn, embeddings
from hypothesis import given
from hypothesis import strategies as st
from tiny_corpus import write_pages

from drag_rl.errors import InputError
from drag_rl.retrieval import PageTexts, build_index
from drag_rl.retrieval.dense import vectors as vectors_module
from drag_rl.retrieval.dense.passages import Passages, cut_pages, even_cuts

WORDS = ["red fox", "blue fox", "green tree", "index of foxes", "red fox", ""]


@pytest.fixture
def server() -> Iterator[EmbeddingsStandIn]:
    with EmbeddingsStandIn() as stand_in:
        yield stand_in


@given(text=st.text("ab ß首\n", max_size=60), most=st.integers(1, 12))
def test_passages_are_the_text_in_order_and_none_is_too_long(text: str, most: int) -> None:
    cuts = even_cuts(text, range(len(text)), most)
    assert "".join(text[begin:end] for begin, end in cuts) == text
    assert all(0 < end - begin <= most for begin, end in cuts)
    assert len(cuts) >= -(-len(text) // most)


def test_passages_are_about_equally_long_and_end_at_blanks() -> None:
    text = "word " * 25
    lengths = [end - begin for begin, end in even_cuts(text, range(len(text)), 100)]
    assert lengths == [60, 65] or lengths == [65, 60]


def test_passages_of_equal_text_share_a_vector_numbered_in_order(tmp_path: Path) -> None:
    pages = PageTexts.of({f"doc#{n}": text for n, text in enumerate(WORDS, start=1)})
    passages = cut_pages(pages, lambda text: [(0, len(text))] if text else [])
    assert passages.pages.tolist() == [0, 1, 2, 3, 4] and passages.vectors.tolist() == [0, 1, 2, 3, 0]
    assert [*passages.texts(pages, passages.first_of_each)] == WORDS[:4]
    with (tmp_path / "passages").open("wb") as file:
        passages.write(file)
    again = Passages.load(tmp_path / "passages")
    assert again.begins.tolist() == [0] * 5 and again.ends.tolist() == passages.ends.tolist()


def test_a_killed_build_goes_on_and_embeds_no_passage_twice(
    server: EmbeddingsStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors_module, "PIECE", 2)
    pages = write_pages(tmp_path / "pages", [text or "-" for text in WORDS])
    options = {"model": server.url, "served_model": MODEL, "faiss": "hnsw"}
    server.say = lambda request: embeddings(request) if len(server.requests) < 2 else (400, b"killed")
    with pytest.raises(InputError, match="the embeddings server failed: HTTP 400: killed"):
        build_index(pages, tmp_path / "index", "dense", **options)
    assert server.texts[:2] == WORDS[:2]
    server.say, server.requests = embeddings, []
    manifest, built = build_index(pages, tmp_path / "index", "dense", **options)
    assert built and server.texts == WORDS[2:4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "pages"]

    whole, _ = build_index(pages, tmp_path / "another", "dense", **options)
    assert whole.fingerprint == manifest.fingerprint
    assert server.texts == WORDS[2:4], "an index beside it has the vectors"
    assert build_index(pages, tmp_path / "another", "dense", **options) == (whole, False)
    vectors = np.load(tmp_path / "another" / "vectors.npy")
    assert vectors.shape == (4, 32) and np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_changed_pages_alone_are_embedded_again(server: EmbeddingsStandIn, tmp_path: Path) -> None:
    options = {"model": server.url, "served_model": MODEL, "passage_tokens": 2}
    texts = ["red fox blue fox", "green tree", "index of foxes"]
    build_index(write_pages(tmp_path / "pages", texts), tmp_path / "index", "dense", **options)
    server.requests = []
    texts[1:2] = ["yellow tree", "more"]
    pages = write_pages(tmp_path / "pages", texts)
    build_index(pages, tmp_path / "index", "dense", **options)
    asked = " ".join(server.texts)
    assert "yellow" in asked and "more" in asked and "fox " not in asked
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    build_index(pages, elsewhere / "index", "dense", **options)
    for name in ("vectors.npy", "passages.npy"):
        one, other = (np.load(folder / "index" / name) for folder in (tmp_path, elsewhere))
        assert one == pytest.approx(other, abs=1e-6)


def test_pages_without_a_word_are_refused(server: EmbeddingsStandIn, tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", ["-", "***"])
    with pytest.raises(InputError, match="no page has a word to embed"):
        build_index(pages, tmp_path / "index", "dense", model=server.url, served_model=MODEL)
