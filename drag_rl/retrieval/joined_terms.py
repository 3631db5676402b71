"""Putting the terms of pages together: those of some pages after those of others, in memory or from file to file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drag_rl.retrieval.page_terms import PAGE_STARTS, TERM_IDS, TERM_PAGES, TERM_STARTS, TERMS, PageTerms
from drag_rl.retrieval.vocabulary import Vocabulary, merged


def joined(parts: Sequence[PageTerms]) -> PageTerms:
    """The terms of the pages of the first part, then of those of the second ...: as if made from all their texts."""
    vocabulary, new_ids = merged([part.vocabulary for part in parts])
    return PageTerms(
        term_ids=np.concatenate([ids[part.term_ids] for part, ids in zip(parts, new_ids, strict=True)]),
        starts=np.concatenate([part.starts for part in parts]),
        page_starts=_page_starts(parts),
        vocabulary=vocabulary,
        holding=_holding(parts, new_ids, len(vocabulary)),
    )


def write_joined(folder: Path, parts: Sequence[Path]) -> None:
    """Write what :func:`joined` gives for parts that lie in folders, holding the terms of one part at a time."""
    vocabulary, new_ids = merged([Vocabulary.open(part / TERMS) for part in parts])
    page_starts = _page_starts(map(PageTerms.open, parts))
    vocabulary.save(folder / TERMS)
    np.save(folder / PAGE_STARTS, page_starts)
    np.save(folder / TERM_PAGES, _holding(map(PageTerms.open, parts), new_ids, len(vocabulary)))
    terms = int(page_starts[-1])
    ids = (of_part[PageTerms.open(part).term_ids] for part, of_part in zip(parts, new_ids, strict=True))
    _write_array(folder / TERM_IDS, terms, ids)
    _write_array(folder / TERM_STARTS, terms, (PageTerms.open(part).starts for part in parts))


def _page_starts(parts: Iterable[PageTerms]) -> npt.NDArray[np.int64]:
    lengths = [np.diff(part.page_starts) for part in parts]
    return np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths]))


def _holding(
    parts: Iterable[PageTerms], new_ids: Sequence[npt.NDArray[np.int32]], terms: int
) -> npt.NDArray[np.int64]:
    holding = np.zeros(terms, dtype=np.int64)
    for part, ids in zip(parts, new_ids, strict=True):
        holding[ids] += part.holding
    return holding


def _write_array(path: Path, length: int, pieces: Iterator[npt.NDArray[Any]]) -> None:
    """What ``np.save`` writes of the pieces (int32) put together."""
    header = {"descr": "<i4", "fortran_order": False, "shape": (length,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        for piece in pieces:
            file.write(piece.astype("<i4", copy=False).data)
