"""Scores equal an independent BM25; hits and ranks never disagree; threads do not disturb one another."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import bm25s
import numpy as np
import pytest
import Stemmer
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_corpus import index_of

from drag_rl.errors import InputError

WORDS = [
    "save",
    "workspace",
    "object",
    "file",
    "package",
    "install",
    "graph",
    "vector",
    "the",
    "of",
    "r",
    "x1",
]
text_strategy = st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)
texts_strategy = st.lists(text_strategy, max_size=12).map(lambda texts: [*texts, "save file"])
query_strategy = st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=6).map(" ".join)


def lucene_bm25(texts: list[str], query: str, k1: float = 1.5, b: float = 0.75) -> np.ndarray:
    """Lucene's BM25, straight from its formula, without stemming or stop words."""
    documents = [Counter(re.findall(r"\w\w+", text.lower())) for text in texts]
    lengths = np.array([sum(document.values()) for document in documents], dtype=float)
    scores = np.zeros(len(texts))
    for term in re.findall(r"\w\w+", query.lower()):
        frequency = np.array([document[term] for document in documents], dtype=float)
        holds = np.count_nonzero(frequency)
        if holds:
            idf = np.log(1 + (len(texts) - holds + 0.5) / (holds + 0.5))
            saturation = k1 * (1 - b + b * lengths / lengths.mean())
            scores += idf * frequency / np.where(frequency > 0, frequency + saturation, 1)
    return scores


@settings(max_examples=12, deadline=None)
@given(texts=texts_strategy, query=query_strategy, k1=st.floats(0.1, 3), b=st.floats(0, 1))
def test_scores_are_lucene_bm25(texts: list[str], query: str, k1: float, b: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = index_of(Path(folder), texts, stemmer="none", stopwords="none", k1=k1, b=b)
        result = index.search(query, top_k=len(texts), gold_page_ids=index.page_ids)
    expected = lucene_bm25(texts, query, k1, b)
    found = {hit.page_id: hit.score for hit in result.hits}
    assert [found.get(page_id, 0.0) for page_id in index.page_ids] == pytest.approx(expected, abs=1e-4)
    assert [rank is None for rank in result.gold_ranks] == [score == 0 for score in expected]


@settings(max_examples=12, deadline=None)
@given(texts=texts_strategy, query=query_strategy, top_k=st.integers(1, 5))
def test_a_rank_is_the_position_in_the_full_result_list(texts: list[str], query: str, top_k: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = index_of(Path(folder), texts)
        full = index.search(query, top_k=len(texts), gold_page_ids=index.page_ids)
        short = index.search(query, top_k=top_k)
    position = {hit.page_id: hit.rank for hit in full.hits}
    assert full.gold_ranks == tuple(position.get(page_id) for page_id in index.page_ids)
    assert [hit.rank for hit in full.hits] == list(range(1, len(full.hits) + 1))
    assert short.hits == full.hits[:top_k]
    keys = [(-hit.score, index.page_ids.index(hit.page_id)) for hit in full.hits]
    assert keys == sorted(keys)


@settings(max_examples=12, deadline=None)
@given(texts=texts_strategy, query=query_strategy, top_k=st.integers(1, 5), data=st.data())
def test_pages_left_out_leave_the_others_in_order(
    texts: list[str], query: str, top_k: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = index_of(Path(folder), texts)
        without = data.draw(st.sets(st.sampled_from(index.page_ids)))
        full = index.search(query, top_k=len(texts))
        found = index.search(query, top_k, index.page_ids, without=without)
    left = [hit.page_id for hit in full.hits if hit.page_id not in without]
    assert [hit.page_id for hit in found.hits] == left[:top_k]
    ranks = [left.index(page_id) + 1 if page_id in left else None for page_id in index.page_ids]
    assert list(found.gold_ranks) == ranks


def test_scores_are_those_of_bm25s_with_stemmer_and_stop_words(tmp_path: Path) -> None:
    texts = ["How to install a package", "Installing packages, and the graphs", "The graph", "Files"]
    query = "installed package graphs of the files"
    index = index_of(tmp_path, texts)
    stemmer = Stemmer.Stemmer("english")
    retriever = bm25s.BM25(method="lucene")
    tokenize = partial(bm25s.tokenize, stopwords="en", stemmer=stemmer, show_progress=False)
    retriever.index(tokenize(texts), show_progress=False)
    expected = retriever.get_scores(tokenize([query], return_ids=False)[0]).tolist()
    hits = {hit.page_id: hit.score for hit in index.search(query, top_k=4).hits}
    assert [hits.get(page_id, 0.0) for page_id in index.page_ids] == pytest.approx(expected)


def test_equal_pages_rank_in_page_order(tmp_path: Path) -> None:
    index = index_of(tmp_path, ["red fox", "blue fox", "red fox", "red fox", "green tree"])
    result = index.search("red fox", 2, index.page_ids)
    assert [hit.page_id for hit in result.hits] == ["doc#1", "doc#3"]
    assert result.gold_ranks == (1, 4, 2, 3, None)


@pytest.mark.parametrize("query", ["", "   ", "the of and", "zebra", "!?", "\x00"])
def test_a_query_without_an_indexed_term_finds_nothing(tmp_path: Path, query: str) -> None:
    index = index_of(tmp_path, ["red fox", "blue fox"])
    result = index.search(query, 3, ("doc#2",))
    assert result.hits == () and result.gold_ranks == (None,)


def test_pages_are_read_back(tmp_path: Path) -> None:
    texts = ["red  fox\n", "", "größe \N{SNOWMAN} fox"]
    index = index_of(tmp_path, texts)
    assert len(index) == 3 and "doc#2" in index and "doc#4" not in index
    assert [index.page(page_id) for page_id in index.page_ids] == texts
    with pytest.raises(InputError, match="doc#9"):
        index.page("doc#9")
    with pytest.raises(InputError, match="doc#9"):
        index.search("fox", 1, ("doc#9",))


def test_threads_get_the_same_results(tmp_path: Path) -> None:
    index = index_of(tmp_path, [f"{WORDS[n % 8]} {WORDS[n % 5]} running page {n}" for n in range(300)])
    queries = [f"{WORDS[n % 8]} runs {WORDS[(n * 3) % 7]} {n}" for n in range(150)]
    alone = [index.search(query, 3, ("doc#7",)) for query in queries]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda query: index.search(query, 3, ("doc#7",)), queries))
    assert together == alone
