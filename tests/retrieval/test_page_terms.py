"""The terms of pages are the same however they were put together."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drag_rl.retrieval import joined_terms
from drag_rl.retrieval.joined_terms import write_joined
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


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pages, min_size=1, max_size=3), st.data())
def test_pages_of_parts_are_put_together_as_if_made_from_their_texts(
    monkeypatch: pytest.MonkeyPatch, parts: list[list[str]], data: st.DataObject
) -> None:
    monkeypatch.setattr(joined_terms, "PAGES_AT_ONCE", 3)
    every = [text for part in parts for text in part]
    rows = data.draw(st.permutations(range(len(every))))[: data.draw(st.integers(0, len(every)))]
    with tempfile.TemporaryDirectory() as work:
        folders = [Path(work, str(number)) for number in range(len(parts))]
        one, other = Path(work, "one"), Path(work, "other")
        for folder in (*folders, one, other):
            folder.mkdir()
        for folder, part in zip(folders, parts, strict=True):
            terms_of(part).save(folder)
            assert same(PageTerms.open(folder), terms_of(part))
        write_joined(one, folders, np.array(rows, dtype=np.int64))
        terms_of([every[row] for row in rows]).save(other)
        assert {path.name: path.read_bytes() for path in one.iterdir()} == {
            path.name: path.read_bytes() for path in other.iterdir()
        }
