"""Which units hold each term, and what it adds to their scores: in files, read where they lie.

A unit is what is scored: a page, or one of the passages that a page is cut into. Shape letters: U units, T terms of all
units in order, W different terms, N postings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.mapped import mapped_array
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.sparse.statistics import Bm25Statistics

Array = npt.NDArray[Any]
INDPTR, ROWS, IMPACTS, PASSAGES = "indptr.npy", "rows.npy", "impacts.npy", "passages.npy"
COUNTS, LENGTHS = "counts.npy", "lengths.npy"
"""How often a unit holds a term (N,), and how many terms it has, repeats counted (U,): there until the impacts are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Postings:
    """The postings of a corpus, by term."""

    indptr: Array
    """Where each term's postings begin, and where the last one's end (W + 1,)."""
    rows: Array
    """The units that hold it, rising, uint32 (N,)."""
    impacts: Array
    """What it adds to the score of each, float32 (N,)."""
    pages: Array
    """The page of each unit, rising (U,); empty where units are pages."""

    @classmethod
    def open(cls, folder: Path) -> Postings:
        """What :func:`write_postings` and ``write_impacts`` wrote, memory-mapped."""
        return cls(
            indptr=mapped_array(folder / INDPTR),
            rows=mapped_array(folder / ROWS),
            impacts=mapped_array(folder / IMPACTS),
            pages=mapped_array(folder / PASSAGES),
        )


def write_postings(folder: Path, terms: PageTerms, passage_tokens: int = 0) -> Bm25Statistics:
    """Write the postings and counts of pages, or of passages of at most ``passage_tokens`` terms if that is not 0.

    Returns the statistics of these pages. The memory that this needs grows with the vocabulary and the number of units;
    the postings go straight to the files.
    """
    from drag_rl.retrieval.sparse.counting import count_postings, fill_postings

    folder.mkdir()
    starts, pages = terms.page_starts, np.empty(0, dtype=np.int32)
    if passage_tokens:
        starts, pages = passage_starts(terms.page_starts, passage_tokens)
    lengths = np.diff(starts).astype(np.int32)
    indptr, most = count_postings(terms.term_ids, starts, len(terms.vocabulary))
    rows = new_array(folder / ROWS, np.dtype(np.uint32), int(indptr[-1]))
    counts = new_array(folder / COUNTS, np.min_scalar_type(int(most)), int(indptr[-1]))
    fill_postings(terms.term_ids, starts, indptr, rows, counts)
    for name, array in ((INDPTR, indptr), (LENGTHS, lengths), (PASSAGES, pages)):
        np.save(folder / name, array)
    return statistics_of(folder)


def statistics_of(folder: Path) -> Bm25Statistics:
    """The statistics of what :func:`write_postings` wrote, before its impacts are there."""
    lengths = mapped_array(folder / LENGTHS)
    return Bm25Statistics(
        units=len(lengths),
        terms=int(lengths.sum(dtype=np.int64)),
        holding=np.diff(mapped_array(folder / INDPTR)),
    )


def passage_starts(page_starts: Array, passage_tokens: int) -> tuple[Array, Array]:
    """Where each passage begins, and where the last ends (U + 1,), and the page of each (U,).

    A page has as few passages as it can, of about equal length; one without terms has one.

    >>> starts, pages = passage_starts(np.array([0, 5, 5, 7]), 2)
    >>> starts.tolist(), pages.tolist()
    ([0, 1, 3, 5, 5, 7], [0, 0, 0, 1, 2])
    """
    lengths = np.diff(page_starts)
    passages = np.maximum(1, -(-lengths // passage_tokens))
    firsts = np.cumsum(passages) - passages
    pages = np.repeat(np.arange(len(lengths), dtype=np.int32), passages)
    numbers = np.arange(len(pages)) - firsts[pages]
    starts = page_starts[pages] + numbers * lengths[pages] // passages[pages]
    starts = np.append(starts, page_starts[-1])
    starts.flags.writeable = False  # as mapped ones are, so that one compiled loop serves both
    return starts, pages


def new_array(path: Path, dtype: np.dtype[Any], length: int) -> Array:
    """An array of a new file, to be filled."""
    return np.asarray(np.lib.format.open_memmap(path, "w+", dtype, (length,)))  # type: ignore[no-untyped-call]
