"""Putting the terms of pages together: some pages of several parts, in any order, from files to files.

Shape letters: D pages that are put together, P pages of all parts, t terms of some pages, w different terms of a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.page_terms import (
    PAGE_STARTS,
    TERM_IDS,
    TERM_PAGES,
    TERM_STARTS,
    TERMS,
    PageTerms,
    ranges,
)
from drag_rl.retrieval.vocabulary import Vocabulary, merged

PAGES_AT_ONCE = 4096
"""Pages whose terms are held in memory."""

Rows = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The terms of some of the pages."""

    first: int
    """The number of its first page among those of all parts."""
    terms: PageTerms
    new_ids: Ids
    """The id of each of its terms among those of all parts (w,)."""


def write_joined(folder: Path, parts: Sequence[Path], rows: Rows) -> None:
    """Write the terms of some pages of parts that lie in folders, as if made from the texts of these pages.

    ``rows`` are the pages, each once, in the order in which they are wanted: the pages of the first part count from 0,
    those of the second go on where they end ... (D,).
    """
    opened = [PageTerms.open(part) for part in parts]
    lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(terms.page_starts) for terms in opened)])
    ends = np.cumsum([len(terms.page_starts) - 1 for terms in opened], dtype=np.int64)
    vocabulary, new_ids = merged([terms.vocabulary for terms in opened])
    joining = [
        _Part(first=int(end) - len(terms.page_starts) + 1, terms=terms, new_ids=ids)
        for end, terms, ids in zip(ends, opened, new_ids, strict=True)
    ]
    holding = _holding(joining, np.setdiff1d(np.arange(len(lengths)), rows), len(vocabulary))
    held = holding > 0
    ids_of_held = np.cumsum(held, dtype=np.int32) - 1
    page_starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths[rows])])
    Vocabulary(vocabulary.terms.filter(held)).save(folder / TERMS)
    np.save(folder / TERM_PAGES, holding[held])
    np.save(folder / PAGE_STARTS, page_starts)
    header = {"descr": "<i4", "fortran_order": False, "shape": (int(page_starts[-1]),)}
    with (folder / TERM_IDS).open("wb") as term_ids, (folder / TERM_STARTS).open("wb") as starts:
        for file in (term_ids, starts):
            np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        for some_ids, some_starts in _terms_of(joining, rows):
            term_ids.write(ids_of_held[some_ids].data)
            starts.write(some_starts.data)


def _holding(parts: Sequence[_Part], left_out: Rows, terms: int) -> npt.NDArray[np.int64]:
    """How many pages hold each term, but for some that are left out."""
    holding = np.zeros(terms, dtype=np.int64)
    for part in parts:
        holding[part.new_ids] += part.terms.holding
    for part, rows, _ in _by_part(parts, left_out):
        holding[part.new_ids] -= part.terms.holding_among(rows)
    return holding


def _terms_of(parts: Sequence[_Part], rows: Rows) -> Iterator[tuple[Ids, Ids]]:
    """The ids and starts of the terms of pages, some pages at a time (t,)."""
    for begin in range(0, len(rows), PAGES_AT_ONCE):
        some = rows[begin : begin + PAGES_AT_ONCE]
        found = [
            (*part.terms.terms_of(own), part.new_ids, places) for part, own, places in _by_part(parts, some)
        ]
        if len(found) == 1:
            ((ids, starts, _, new_ids, _),) = found
            yield new_ids[ids], starts
            continue
        lengths = np.empty(len(some), dtype=np.int64)
        for _, _, of_pages, _, places in found:
            lengths[places] = of_pages
        begins = np.cumsum(lengths) - lengths
        all_ids, all_starts = np.empty((2, int(lengths.sum())), dtype=np.int32)
        for ids, starts, of_pages, new_ids, places in found:
            where = ranges(begins[places], of_pages)
            all_ids[where], all_starts[where] = new_ids[ids], starts
        yield all_ids, all_starts


def _by_part(parts: Sequence[_Part], rows: Rows) -> Iterator[tuple[_Part, Rows, Rows]]:
    """Parts with those of some pages that are theirs, by their number in the part, and where these stand in ``rows``.

    A part comes as often as it has thousands of pages.
    """
    firsts = np.array([part.first for part in parts])
    for begin in range(0, len(rows), PAGES_AT_ONCE):
        some = rows[begin : begin + PAGES_AT_ONCE]
        numbers = np.searchsorted(firsts, some, side="right") - 1
        for number in np.unique(numbers):
            places = np.flatnonzero(numbers == number)
            yield parts[number], some[places] - firsts[number], places + begin
