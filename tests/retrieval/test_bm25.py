"""Scores are those of bm25s, to the last bit; hits and ranks those of a full sort; parts score as the whole does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from bm25_lab import bm25_of, bm25s_scores, formulas, queries, ranked, texts
from bm25s import scoring
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.retrieval.sparse.bm25 import Wanted
from drag_rl.retrieval.sparse.formula import Formula

few = settings(max_examples=12)


@few
@given(texts=texts, query=queries, formula=formulas, passage_tokens=st.sampled_from([0, 1, 2, 5, 50]))
def test_scores_are_those_of_bm25s_and_a_page_has_that_of_its_best_passage(
    texts: list[str], query: str, formula: Formula, passage_tokens: int
) -> None:
    most = passage_tokens or 1000
    units, of_page = [], []
    for row, text in enumerate(texts):
        words = text.split()
        passages = max(1, -(-len(words) // most))
        cuts = [number * len(words) // passages for number in range(passages + 1)]
        units += [words[begin:end] for begin, end in pairwise(cuts)]
        of_page += [row] * passages
    expected = np.zeros(len(texts), dtype=np.float32)
    np.maximum.at(expected, of_page, bm25s_scores(units, query, formula))
    with bm25_of(texts, formula, passage_tokens) as bm25:
        (found,) = bm25.search([Wanted(text=query, top_k=len(texts), track=range(len(texts)))])
    assert found.track_scores == expected.tolist()
    assert found.rows == ranked(expected) and found.scores == expected[found.rows].tolist()


@few
@given(
    texts=texts,
    query=queries,
    passage_tokens=st.sampled_from([0, 3]),
    wanted=st.lists(
        st.tuples(st.integers(0, 5), st.sets(st.integers(0, 13)), st.booleans(), st.integers(-1, 14)),
        max_size=4,
    ),
)
def test_hits_ranks_and_counts_are_those_of_a_full_sort(
    texts: list[str], query: str, passage_tokens: int, wanted: list[tuple[int, set[int], bool, int]]
) -> None:
    rows = range(len(texts))
    with bm25_of(texts, passage_tokens=passage_tokens) as bm25:
        (whole,) = bm25.search([Wanted(text=query, top_k=0, track=rows)])
        scores = np.array(whole.track_scores)
        pairs = [(score, row) for score in {*whole.track_scores} for _, _, _, row in wanted]
        asked = [
            Wanted(
                text=query,
                top_k=top_k,
                without=sorted(without & {*rows}),
                scope="a" if scoped else None,
                track=rows,
                above=pairs,
            )
            for top_k, without, scoped, _ in wanted
        ]
        found = bm25.search(asked)
        again = bm25.search(asked)
    assert found == again
    for query_asked, of_query in zip(asked, found, strict=True):
        left = np.where(np.isin(rows, query_asked.without), 0, scores)
        order = ranked(left)
        assert of_query.rows == order[: query_asked.top_k]
        assert of_query.ranks == [order.index(row) + 1 if row in order else None for row in rows]
        assert of_query.above == [
            sum(left[other] > score or (left[other] == score and other < row) for other in order)
            for score, row in pairs
        ]


def test_few_postings_among_many_pages_are_searched_as_many_are() -> None:
    """What is looked at differs: the pages that have a score, or all of them."""
    texts = ["tree"] * 300
    for row in (7, 250, 8, 299):
        texts[row] = "fox tree" if row % 2 else "fox"
    with bm25_of(texts) as bm25, bm25_of(texts, passage_tokens=1) as passages:
        for index in (bm25, passages):
            few, many = index.search(
                [
                    Wanted(text=query, top_k=5, track=(250, 7, 6), without=(8,), above=((0.0, 300),))
                    for query in ("fox", "fox tree")
                ]
            )
            assert few.rows == ([250, 7, 299] if index is bm25 else [7, 250, 299])
            assert few.above == [3] and few.ranks[2] is None
            assert sorted(few.ranks[:2]) == [1, 2]
            assert many.above == [299] and sorted(many.rows[:3]) == [7, 250, 299]
            (again,) = index.search([Wanted(text="fox", top_k=5)])
            assert sorted(again.rows) == [7, 8, 250, 299], "nothing is left of the queries before"


@pytest.mark.parametrize("method", ["lucene", "robertson", "atire"])
def test_idf_is_that_of_bm25s(method: str) -> None:
    expected = scoring._select_idf_scorer(method)
    for holding in (1, 3, 7, 10):
        assert Formula(method=method).idf(10, holding) == expected(holding, N=10)


@pytest.mark.slow  # another type of counts is compiled
def test_a_page_may_hold_a_word_more_often_than_a_byte_counts() -> None:
    texts = ["fox " * 300, "fox tree", "tree " * 20]
    with bm25_of(texts) as bm25:
        (found,) = bm25.search([Wanted(text="fox", top_k=3, track=range(3))])
    expected = bm25s_scores([text.split() for text in texts], "fox", Formula())
    assert found.track_scores == expected.tolist()
