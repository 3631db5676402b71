"""Postings say which pages or passages hold a term, and how often."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from bm25_lab import texts
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.retrieval import PageTexts
from drag_rl.retrieval.page_store import write_page_store
from drag_rl.retrieval.sparse.postings import COUNTS, INDPTR, LENGTHS, ROWS, passage_starts, write_postings
from drag_rl.retrieval.tokenizer import Tokenizer


@settings(max_examples=15)
@given(texts=texts)
def test_postings_are_what_counting_words_gives(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbered = ((f"a#{number}", text) for number, text in enumerate(texts, start=1))
        write_page_store(folder, numbered, Tokenizer(stemmer="none"))
        terms = PageTexts.open(folder).terms
        statistics = write_postings(folder / "bm25", terms)
        indptr, rows, counts, lengths = (
            np.load(folder / "bm25" / name) for name in (INDPTR, ROWS, COUNTS, LENGTHS)
        )
    words = [Counter(text.split()) for text in texts]
    assert lengths.tolist() == [counts.total() for counts in words]
    for term, number in dict(terms.vocabulary).items():
        begin, end = indptr[number : number + 2]
        held = list(zip(rows[begin:end].tolist(), counts[begin:end].tolist(), strict=True))
        assert held == [(row, counts[term]) for row, counts in enumerate(words) if term in counts]
        assert statistics.holding[number] == len(held)
    assert len(indptr) == len(terms.vocabulary) + 1 and counts.dtype == np.uint8
    assert (statistics.units, statistics.terms) == (len(texts), lengths.sum())


@given(lengths=st.lists(st.integers(0, 40), min_size=1), most=st.integers(1, 12))
def test_passages_cover_each_page_evenly(lengths: list[int], most: int) -> None:
    starts, pages = passage_starts(np.cumsum([0, *lengths]), most)
    sizes = np.diff(starts)
    assert sizes.max() <= most and len(sizes) == len(pages)
    for page, length in enumerate(lengths):
        own = sizes[pages == page]
        assert own.sum() == length and len(own) == max(1, -(-length // most))
        assert own.max() - own.min() <= 1
    assert all(one <= other for one, other in pairwise(pages.tolist()))
