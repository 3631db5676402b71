"""Postings say which pages or passages hold a term, and how often."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from bm25_lab import bm25_of, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.retrieval.sparse.postings import passage_starts


@settings(max_examples=15)
@given(texts=texts)
def test_postings_are_what_counting_words_gives(texts: list[str]) -> None:
    with bm25_of(texts) as bm25:
        postings, vocabulary = bm25._postings, dict(bm25.pages.terms.vocabulary)
    words = [Counter(text.split()) for text in texts]
    assert postings.lengths.tolist() == [counts.total() for counts in words]
    for term, number in vocabulary.items():
        begin, end = postings.indptr[number : number + 2]
        held = list(zip(postings.rows[begin:end].tolist(), postings.counts[begin:end].tolist(), strict=True))
        assert held == [(row, counts[term]) for row, counts in enumerate(words) if term in counts]
    assert len(postings.indptr) == len(vocabulary) + 1 and postings.counts.dtype == np.uint8


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
