"""The loops of a BM25 search, compiled.

Shape letters: U units of scoring (pages, or the passages of pages), D pages, W different terms, N postings (a term and
a unit that holds it), G groups of queries that share their scores, A terms of all groups, Q queries, S rows of all
scopes, X rows left out, M marks, K hits of all queries. An array that ends in 1 holds where each one's part begins, and
where the last one's ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.compiled import compiled
from drag_rl.retrieval.sparse.selecting import select

Array = npt.NDArray[Any]
ZERO, ONE = np.int32(0), np.int32(1)
MANY = 4
"""Where the postings of a query are more than one in so many units, all units are looked at."""


@compiled
def search(
    indptr_W1: Array,
    rows_N: Array,
    impacts_N: Array,
    pages_U: Array,
    terms_A: Array,
    terms_G1: Array,
    units_G2: Array,
    scopes_S: Array,
    scopes_G1: Array,
    queries_G1: Array,
    without_X: Array,
    without_Q1: Array,
    mark_rows_M: Array,
    mark_scores_M: Array,
    marks_Q1: Array,
    hit_rows_K: Array,
    hit_scores_K: Array,
    hits_Q1: Array,
    scores_U: Array,
    touched_U: Array,
    best_D: Array,
    found_D: Array,
    values_D: Array,
) -> tuple[Array, Array]:
    """Hits and ranks of groups of queries; returns how many hits each query has (Q,) and how many pages are above (M,).

    A unit's score is the sum of the impacts of the terms that it holds. A group has terms, a range of units to score,
    and the pages of its scope, none for all. A mark is a page and a score: what is counted are the pages of a higher
    score, or of the same and before it. A mark whose score is no number (NaN) is given its page's own.

    ``rows_N`` are unsigned: an index that cannot be negative is quicker. ``pages_U`` is the page of each unit, empty
    where units are pages. ``scores_U`` and ``best_D`` are all 0, before
    and after; with the three after them they are this call's alone. ``best_D`` and ``found_D`` are used for passages
    only.
    """
    counts_Q = np.zeros(len(hits_Q1) - 1, dtype=np.int64)
    above_M = np.zeros(len(mark_rows_M), dtype=np.int64)
    by_page = len(pages_U) == 0
    for group in range(len(queries_G1) - 1):
        low, high = units_G2[group, 0], units_G2[group, 1]
        terms = terms_A[terms_G1[group] : terms_G1[group + 1]]
        ranges = np.empty((len(terms), 2), dtype=np.int64)
        for place, term in enumerate(terms):
            begin, end = indptr_W1[term], indptr_W1[term + 1]
            ranges[place, 0] = _first(rows_N, begin, end, low) if low > 0 else begin
            ranges[place, 1] = _first(rows_N, begin, end, high) if high < len(scores_U) else end
        many = (ranges[:, 1] - ranges[:, 0]).sum() * MANY > high - low
        touched = 0
        for place in range(len(terms)):
            postings = slice(ranges[place, 0], ranges[place, 1])
            rows, impacts = rows_N[postings], impacts_N[postings]
            if many:
                for posting in range(len(rows)):
                    scores_U[rows[posting]] += impacts[posting]
            else:
                touched = _add_touching(rows, impacts, scores_U, touched_U, touched)
        # Where many units may have a score, all of their range are looked at, in order; else those that do.
        best, found, first, last = scores_U, touched_U[:touched], low, high
        if not by_page:
            best = best_D
            if many:
                first, last = pages_U[low], pages_U[high - 1] + 1
                for unit in range(low, high):
                    best_D[pages_U[unit]] = max(best_D[pages_U[unit]], scores_U[unit])
                scores_U[low:high] = 0
            else:
                found = found_D[: _best_passages(pages_U, scores_U, found, best_D, found_D)]
        scope = scopes_S[scopes_G1[group] : scopes_G1[group + 1]]
        for query in range(queries_G1[group], queries_G1[group + 1]):
            without = without_X[without_Q1[query] : without_Q1[query + 1]]
            kept = best[without]
            for row in without:
                best[row] = 0
            marks = slice(marks_Q1[query], marks_Q1[query + 1])
            hits = slice(hits_Q1[query], hits_Q1[query + 1])
            _own_scores(best, scope, mark_rows_M[marks], mark_scores_M[marks])
            if many and len(scope) == 0:
                rows, values = found[:0], best[first:last]
            else:
                rows = scope if len(scope) else found
                values = values_D[: len(rows)]
                for place, row in enumerate(rows):
                    values[place] = best[row]
            _count_above(values, rows, first, mark_rows_M[marks], mark_scores_M[marks], above_M[marks])
            counts_Q[query] = select(values, rows, first, hit_rows_K[hits], hit_scores_K[hits])
            for place in range(len(without)):
                best[without[place]] = kept[place]
        if many:
            best[first:last] = 0
        else:
            for row in found:
                best[row] = 0
    return counts_Q, above_M


@compiled
def _add_touching(rows: Array, impacts: Array, scores_U: Array, touched_U: Array, touched: int) -> int:
    """Add what a term gives to the units that hold it, and list those that had no score, after those that are listed;
    returns how many are."""
    for place in range(len(rows)):
        unit, impact = rows[place], impacts[place]
        if impact > 0:
            if scores_U[unit] == 0:
                touched_U[touched] = unit
                touched += 1
            scores_U[unit] += impact
    return touched


@compiled
def _first(rows_N: Array, begin: int, end: int, least: int) -> int:
    """The first place from ``begin`` on, or ``end``, whose row is at least ``least``."""
    while begin < end:
        middle = (begin + end) // 2
        if rows_N[middle] < least:
            begin = middle + 1
        else:
            end = middle
    return begin


@compiled
def _best_passages(pages_U: Array, scores_U: Array, touched: Array, best_D: Array, found_D: Array) -> int:
    """Give each page the score of its best passage, and the passages 0 again; returns how many pages there are."""
    pages = 0
    for unit in touched:
        page, score = pages_U[unit], scores_U[unit]
        scores_U[unit] = 0
        if best_D[page] == 0:
            found_D[pages] = page
            pages += 1
        best_D[page] = max(best_D[page], score)
    return pages


@compiled
def _own_scores(best_D: Array, scope: Array, mark_rows: Array, mark_scores: Array) -> None:
    """Give marks without a score that of their page; 0 outside the scope."""
    for mark in range(len(mark_rows)):
        if np.isnan(mark_scores[mark]):
            row = mark_rows[mark]
            inside = True
            if len(scope):
                place = _first(scope, 0, len(scope), row)
                inside = place < len(scope) and scope[place] == row
            mark_scores[mark] = best_D[row] if inside else 0


@compiled
def _count_above(
    values: Array, rows: Array, first: int, mark_rows: Array, mark_scores: Array, above: Array
) -> None:
    """Count what is above each mark; in 32 bits, as scores are, so that many pages are compared at once.

    ``values`` are scores, 0 for none, of pages: ``rows`` or, if that is empty, all from ``first`` on.
    """
    for mark in range(len(mark_rows)):
        score = mark_scores[mark]
        row = mark_rows[mark] if score > 0 else -1
        count = ZERO
        if len(rows):
            for place in range(len(values)):
                better = values[place] > score or (values[place] == score and rows[place] < row)
                count = np.int32(count + (ONE if better else ZERO))
        else:
            before = min(max(row - first, 0), len(values))
            for place in range(before):
                count = np.int32(count + (ONE if values[place] >= score else ZERO))
            for place in range(before, len(values)):
                count = np.int32(count + (ONE if values[place] > score else ZERO))
        above[mark] = count
