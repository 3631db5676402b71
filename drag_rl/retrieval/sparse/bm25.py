"""BM25 over postings: the best pages of many queries, and where others are, in one call that needs no Python lock.

Pages are named by their rows, 0-based in page order. Only pages that score above 0 are ranked, those of equal score in
page order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sparse.formula import Formula
from drag_rl.retrieval.sparse.postings import Postings, write_postings
from drag_rl.retrieval.sparse.statistics import Bm25Statistics

Array = npt.NDArray[Any]
FORMULA = "formula.json"
TEXTS_KEPT = 4096
"""The terms and weights of so many queries are kept at hand."""
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
    write_postings(folder, pages.terms, passage_tokens)
    (folder / FORMULA).write_text(json.dumps(asdict(formula)), encoding="utf-8")


class Bm25:
    """A BM25 index; reads only, so any number of threads may search at once."""

    def __init__(self, folder: Path, pages: PageTexts, statistics: Bm25Statistics | None = None) -> None:
        """What :func:`write_bm25` wrote of ``pages``, memory-mapped.

        ``statistics`` are those of the corpus that these pages are a part of, so that they score, to the last bit, as
        they do in an index of all of it; without them, the pages are the corpus.
        """
        from drag_rl.retrieval.sparse import kernels

        self.pages = pages
        self._kernels = kernels
        self._postings = Postings.open(folder)
        self._formula = Formula(**json.loads((folder / FORMULA).read_text(encoding="utf-8")))
        self._corpus = statistics or self.statistics
        self._norms = self._formula.norms(int(self._postings.lengths.max()), self._corpus.mean_length)
        self._terms = lru_cache(TEXTS_KEPT)(self._weighted_terms)
        self._buffers: list[tuple[Array, ...]] = []

    @property
    def statistics(self) -> Bm25Statistics:
        """Those of these pages."""
        lengths = self._postings.lengths
        return Bm25Statistics(
            units=len(lengths), terms=int(lengths.sum(dtype=np.int64)), holding=self._holding
        )

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
        terms = [self._terms(text) for text, _ in groups]
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
                self._postings.counts,
                self._postings.lengths,
                self._norms,
                self._formula.factor,
                self._postings.pages,
                np.concatenate([of_group for of_group, _ in terms]),
                np.concatenate([of_group for _, of_group in terms]),
                _ends(len(of_group) for of_group, _ in terms),
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
        ids, _ = self._terms(text)
        return int((self._postings.indptr[ids + 1] - self._postings.indptr[ids]).sum())

    def _weighted_terms(self, text: str) -> tuple[Array, Array]:
        """The ids of the terms of a query that these pages hold, in order, repeats kept, and the idf of each."""
        terms = self.pages.query_terms(text)
        vocabulary = self.pages.terms.vocabulary
        weighted = [
            (term_id, self._formula.idf(self._corpus.units, holding))
            for term, holding in zip(terms, self._corpus.holding(terms), strict=True)
            if (term_id := vocabulary.get(term)) is not None
        ]
        ids = np.array([term_id for term_id, _ in weighted], dtype=np.int64)
        return ids, np.array([idf for _, idf in weighted], dtype=np.float32)

    def _holding(self, terms: Sequence[str]) -> list[int]:
        vocabulary, indptr = self.pages.terms.vocabulary, self._postings.indptr
        ids = map(vocabulary.get, terms)
        return [0 if term is None else int(indptr[term + 1] - indptr[term]) for term in ids]

    def _units(self, scope: Array) -> tuple[int, int]:
        """The range of units that has all of a scope's, rising rows."""
        of_units = self._postings.pages
        if not len(scope):
            return 0, len(self._postings.lengths)
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
            units, pages = len(self._postings.lengths), len(self.pages) if len(self._postings.pages) else 0
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
    """Where parts of some lengths begin, and where the last one ends."""
    return np.array([*accumulate(lengths, initial=0)])
