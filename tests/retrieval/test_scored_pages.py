"""Hits and ranks from scores are those of a full sort."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drag_rl.retrieval.scored_pages import ScoredPages, rank_of, top_rows

scores = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0]), max_size=20)


def ranked(scores: list[float], floor: float) -> list[int]:
    above = (row for row, score in enumerate(scores) if score > floor)
    return sorted(above, key=lambda row: (-scores[row], row))


@given(scores=scores, top_k=st.integers(-1, 25), floor=st.sampled_from([-2.0, 0.0, 1.0]))
def test_the_best_rows_and_any_rank_are_those_of_a_full_sort(
    scores: list[float], top_k: int, floor: float
) -> None:
    array, order = np.array(scores, dtype=np.float32), ranked(scores, floor)
    assert top_rows(array, top_k, floor) == order[: max(0, top_k)]
    ranks = [order.index(row) + 1 if row in order else None for row in range(len(scores))]
    assert [rank_of(array, row, floor) for row in range(len(scores))] == ranks


@given(
    scores=scores,
    top_k=st.integers(0, 8),
    without=st.sets(st.integers(0, 19)),
    floor=st.sampled_from([-2.0, 0.0, 1.0]),
)
def test_rows_left_out_are_as_if_they_were_not_there(
    scores: list[float], top_k: int, without: set[int], floor: float
) -> None:
    without &= {*range(len(scores))}
    pages = ScoredPages(np.array(scores, dtype=np.float32), top_k + len(without), floor=floor)
    left = [row for row in ranked(scores, floor) if row not in without]
    assert pages.best(top_k, without) == [(row, scores[row]) for row in left[:top_k]]
    ranks = [left.index(row) + 1 if row in left else None for row in range(len(scores))]
    assert [pages.rank(row, without) for row in range(len(scores))] == ranks
