"""Page texts are the same in memory and in a folder, of whatever kind; a page is shown where it fits the query."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_corpus import index_of

from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.page_store import write_page_store
from drag_rl.retrieval.tokenizer import Tokenizer

PLAIN = Tokenizer(stemmer="none")
sentences = st.lists(
    st.sampled_from(["red", "fox", "blue", "tree", "首都", "Größe", "and"]), max_size=12
).map(" ".join)


@settings(max_examples=20, deadline=None)
@given(st.lists(sentences, min_size=1, max_size=5), sentences, st.integers(0, 30))
def test_a_folder_tells_what_memory_tells(texts: list[str], query: str, max_chars: int) -> None:
    given_texts = {f"doc#{number}": text for number, text in enumerate(texts, start=1)}
    in_memory = PageTexts.of(given_texts, tokenizer=PLAIN)
    with tempfile.TemporaryDirectory() as folder:
        write_page_store(Path(folder), given_texts.items(), PLAIN)
        stored = PageTexts.open(Path(folder))
        for pages in (in_memory, stored):
            assert {page_id: pages.text(page_id) for page_id in pages.page_ids} == given_texts
        assert [in_memory.snippet(page_id, query, max_chars) for page_id in given_texts] == [
            stored.snippet(page_id, query, max_chars) for page_id in given_texts
        ]
        for word in ("red", "größe", "zebra"):
            holding = sum(word in text.lower().split() for text in texts)
            assert in_memory.pages_with(word) == stored.pages_with(word) == holding


def test_a_bm25_index_cuts_the_snippets_that_any_other_does(tmp_path: Path) -> None:
    filler = "the common word again and again " * 30
    texts = [filler + "rare zebra crossing " + filler, filler, "a zebra"]
    index = index_of(tmp_path, texts)
    pages = PageTexts.of({page_id: index.page(page_id) for page_id in index.page_ids})
    for query in ("common zebra crossings", "again", "unknown", ""):
        for page_id in pages.page_ids:
            assert index.pages.snippet(page_id, query, 60) == pages.snippet(page_id, query, 60)
    assert "zebra crossing" in pages.snippet("doc#1", "common zebra crossings", 60)


@pytest.mark.parametrize("query", ["unknown", "", "the"])
def test_a_page_without_a_word_of_the_query_shows_its_beginning(query: str) -> None:
    pages = PageTexts.of({"a#1": "  Red\n foxes run far. ", "a#2": ""})
    assert pages.snippet("a#1", query, 12) == "Red foxes"
    assert pages.snippet("a#1", query, 100) == "Red foxes run far."
    assert pages.snippet("a#2", query, 12) == ""


def test_the_pages_of_a_document_are_those_before_the_last_sign() -> None:
    pages = PageTexts.of({"a#1": "x", "b#c#1": "x", "a#3": "x", "b#c#2": "x"})
    assert pages.rows_of("a").tolist() == [0, 2] and pages.rows_of("b#c").tolist() == [1, 3]
