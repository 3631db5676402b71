"""The terms of pages are the same however they were put together."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.retrieval.joined_terms import joined, write_joined
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.tokenizer import Tokenizer

TOKENIZER = Tokenizer(stemmer="english", stopwords=("the",))
texts = st.lists(
    st.sampled_from(["Foxes", "fox", "the", "The", "\u9996\u90fd", "a", "Gr\u00f6\u00dfe"]), max_size=6
)
pages = st.lists(texts.map(" ".join), max_size=5)
laws = settings(max_examples=30, deadline=None)


def terms_of(some: list[str]) -> PageTerms:
    return PageTerms.of(some, TOKENIZER)


def same(one: PageTerms, other: PageTerms) -> bool:
    arrays = ("term_ids", "starts", "page_starts", "holding")
    return list(one.vocabulary) == list(other.vocabulary) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        and getattr(one, name).dtype == getattr(other, name).dtype
        for name in arrays
    )


@laws
@given(pages)
def test_they_are_those_of_the_tokenizer(some: list[str]) -> None:
    found = terms_of(some)
    names = list(found.vocabulary)
    for text, (begin, end) in zip(some, pairwise(found.page_starts.tolist()), strict=True):
        spans = [(start, term) for start, _, term in TOKENIZER.spans(text)]
        ids = found.term_ids[begin:end].tolist()
        assert list(zip(found.starts[begin:end].tolist(), map(names.__getitem__, ids), strict=True)) == spans
    holding = Counter(term for text in some for term in set(TOKENIZER.terms(text)))
    assert dict(zip(names, found.holding.tolist(), strict=True)) == holding


@settings(max_examples=12, deadline=None)
@given(st.lists(pages, min_size=1, max_size=3))
def test_joined_ones_are_those_of_all_texts(parts: list[list[str]]) -> None:
    whole = terms_of([text for part in parts for text in part])
    made = [terms_of(part) for part in parts]
    assert same(joined(made), whole)
    with tempfile.TemporaryDirectory() as work:
        folders = [Path(work, str(number)) for number in range(len(made))]
        for folder, part in zip(folders, made, strict=True):
            folder.mkdir()
            part.save(folder)
            assert same(PageTerms.open(folder), part)
        one, other = Path(work, "one"), Path(work, "other")
        one.mkdir()
        other.mkdir()
        write_joined(one, folders)
        whole.save(other)
        assert {path.name: path.read_bytes() for path in one.iterdir()} == {
            path.name: path.read_bytes() for path in other.iterdir()
        }


@laws
@given(pages.filter(bool), st.data())
def test_those_of_some_pages_are_as_if_made_from_them(some: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(some) - 1), max_size=6))
    assert same(
        terms_of(some).of_pages(np.array(rows, dtype=np.int64)), terms_of([some[row] for row in rows])
    )
