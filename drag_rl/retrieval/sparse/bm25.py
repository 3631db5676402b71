"""BM25 over postings: the best pages of many queries, and where others are, in one call that needs no Python lock.

Pages are named by their rows, 0-based in page order. Only pages that score above 0 are ranked, those of equal score in
page order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sparse.formula import Formula
from drag_rl.retrieval.sparse.impacts import write_impacts
from drag_rl.retrieval.sparse.postings import Postings, write_postings

Array = npt.NDArray[Any]
TEXTS_KEPT = 4096
"""The terms of so many queries are kept at hand."""
_EVERYWHERE: Array = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wanted:
    """What is wanted of one query."""

    text: str
    top_k: int
    without: Sequence[int] = ()
    """Pages as if they were not there."""
    scope: str | None = None
    """The document whose pages alone are searched."""
    track: Sequence[int] = ()
    """Pages whose score and rank are wanted."""
    above: Sequence[tuple[float, int]] = ()
    """Pairs of a score and a row: how many pages score more, or as much and are before that row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found."""

    rows: list[int]
    """The best pages, best first."""
    scores: list[float]
    """Theirs; each is a float32."""
    ranks: list[int | None]
    """The 1-based rank of each tracked page; None for one that is not ranked."""
    track_scores: list[float]
    """The score of each tracked page; 0 for one that is not ranked."""
    above: list[int]
    """How many pages there are above each pair that was asked for."""


def write_bm25(folder: Path, pages: PageTexts, formula: Formula, passage_tokens: int) -> None:
    """Write the postings of pages, whose passages have at most ``passage_tokens`` terms (0: they are not cut)."""
    statistics = write_postings(folder, pages.terms, passage_tokens)
    write_impacts(folder, formula, statistics)


class Bm25:
    """A BM25 index; reads only, so any number of threads may search at once."""

    def __init__(self, folder: Path, pages: PageTexts) -> None:
        """What :func:`write_bm25` wrote of ``pages``, memory-mapped."""
        from drag_rl.retrieval.sparse import kernels

        self.pages = pages
        self._kernels = kernels
        self._postings = Postings.open(folder)
        self._terms = lru_cache(TEXTS_KEPT)(self._query_terms)
        self._buffers: list[tuple[Array, ...]] = []

    def search(self, wanted: Sequence[Wanted]) -> list[Found]:
        """What is wanted of each query; queries of equal text and scope share one scoring.

        Raises ``InputError`` for a scope that is no document of these pages.
        """
        if not wanted:
            return []
        groups: dict[tuple[str, str | None], list[int]] = {}
        for place, query in enumerate(wanted):
            groups.setdefault((query.text, query.scope), []).append(place)
        order = [*chain.from_iterable(groups.values())]
        queries = [wanted[place] for place in order]
        terms = [self._terms(text)[0] for text, _ in groups]
        scopes = [_EVERYWHERE if scope is None else self.pages.rows_of(scope) for _, scope in groups]
        marks_M = [
            mark for query in queries for mark in chain(((math.nan, row) for row in query.track), query.above)
        ]
        marks_Q1 = _ends(len(query.track) + len(query.above) for query in queries)
        hits_Q1 = _ends(min(query.top_k, len(self.pages)) for query in queries)
        mark_scores_M = np.array([score for score, _ in marks_M], dtype=np.float32)
        hit_rows_K, hit_scores_K = np.empty(hits_Q1[-1], np.int32), np.empty(hits_Q1[-1], np.float32)
        with self._buffer() as buffers:
            counts_Q, above_M = self._kernels.search(
                self._postings.indptr,
                self._postings.rows,
                self._postings.impacts,
                self._postings.pages,
                np.concatenate(terms),
                _ends(map(len, terms)),
                np.array([self._units(scope) for scope in scopes]),
                np.concatenate(scopes).astype(np.int32),
                _ends(map(len, scopes)),
                _ends(map(len, groups.values())),
                np.fromiter(chain.from_iterable(query.without for query in queries), np.int32),
                _ends(len(query.without) for query in queries),
                np.array([row for _, row in marks_M], dtype=np.int32),
                mark_scores_M,
                marks_Q1,
                hit_rows_K,
                hit_scores_K,
                hits_Q1,
                *buffers,
            )
        hit_rows, hit_scores, scores, above = (
            array.tolist() for array in (hit_rows_K, hit_scores_K, mark_scores_M, above_M)
        )
        found: dict[int, Found] = {}
        parts = zip(order, queries, hits_Q1.tolist(), counts_Q.tolist(), marks_Q1.tolist(), strict=False)
        for place, query, first_hit, hits, first_mark in parts:
            tracked = slice(first_mark, first_mark + len(query.track))
            found[place] = Found(
                rows=hit_rows[first_hit : first_hit + hits],
                scores=hit_scores[first_hit : first_hit + hits],
                ranks=[
                    count + 1 if score > 0 else None
                    for count, score in zip(above[tracked], scores[tracked], strict=True)
                ],
                track_scores=scores[tracked],
                above=above[tracked.stop : tracked.stop + len(query.above)],
            )
        return [found[place] for place in range(len(wanted))]

    def postings(self, text: str) -> int:
        """How many postings a query has to go through, which is what its search takes time for."""
        return self._terms(text)[1]

    def _query_terms(self, text: str) -> tuple[Array, int]:
        """The ids of the terms of a query that the vocabulary holds, in order, repeats kept, and their postings."""
        found = map(self.pages.terms.vocabulary.get, self.pages.query_terms(text))
        ids = np.array([term for term in found if term is not None], dtype=np.int64)
        indptr = self._postings.indptr
        return ids, int((indptr[ids + 1] - indptr[ids]).sum())

    @property
    def _count(self) -> int:
        """How many units there are."""
        return len(self._postings.pages) or len(self.pages)

    def _units(self, scope: Array) -> tuple[int, int]:
        """The range of units that has all of a scope's, rising rows."""
        of_units = self._postings.pages
        if not len(scope):
            return 0, self._count
        if not len(of_units):
            return int(scope[0]), int(scope[-1]) + 1
        low, high = np.searchsorted(of_units, [scope[0], scope[-1] + 1])
        return int(low), int(high)

    @contextmanager
    def _buffer(self) -> Iterator[tuple[Array, ...]]:
        """Scores of units and of pages, all 0, and room for lists of them; for one search at a time."""
        try:
            buffers = self._buffers.pop()
        except IndexError:
            units, pages = self._count, len(self.pages) if len(self._postings.pages) else 0
            buffers = (
                np.zeros(units, np.float32),
                np.empty(units, np.int32),
                np.zeros(pages, np.float32),
                np.empty(pages, np.int32),
                np.empty(len(self.pages), np.float32),
            )
        yield buffers
        self._buffers.append(buffers)  # after an error they are not used again


def _ends(lengths: Iterable[int]) -> npt.NDArray[np.int64]:
    """Where parts of some lengths begin, and where the last one ends; not to be written to."""
    return _ends_of(tuple(lengths))


@lru_cache(1024)
def _ends_of(lengths: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Those of a lone query are mostly the same few."""
    return np.array([*accumulate(lengths, initial=0)])
