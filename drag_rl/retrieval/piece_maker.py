"""Making the terms of an index folder's pages piece by piece, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from drag_rl.errors import InputError
from drag_rl.retrieval.joined_terms import joined
from drag_rl.retrieval.mapped import mapped_array, mapped_batches
from drag_rl.retrieval.page_ids import TEXTS
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.tokenizer import read_tokenizer

CANDIDATES = "candidates.npy"
"""Where the page of the same id stands in an earlier index, -1 where there is none (D,)."""
FEW_PIECES = 4
"""So many are not worth starting processes for."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Work:
    """The pieces of an index folder: each record batch of its texts is one."""

    folder: Path
    """It has the texts and the tokenizer already."""
    pieces: Path
    """Where the pieces go; with an earlier index it has the candidates."""
    count: int
    earlier: Path | None
    """An index folder of the same tokenizer, whose pages of the same id and text need not be read again."""

    def place(self, number: int) -> Path:
        """The folder of a piece."""
        return self.pieces / f"{number:06}"


def make_pieces(work: Work, workers: int) -> Iterator[Rows]:
    """Make all pieces; for each, in order, where its pages stand in the earlier index, -1 for pages that were read.

    The pieces do not depend on how many ``workers`` there are. Raises ``InputError`` if one of them is killed.
    """
    if workers == 1 or work.count <= FEW_PIECES:
        yield from map(PieceMaker(work).make, range(work.count))
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, work.count), context, initializer=_begin, initargs=(work,))
    try:
        yield from pool.map(_make, range(work.count))
    except BrokenProcessPool as error:
        raise InputError(
            "a process of the build was killed, perhaps for want of memory; try fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class PieceMaker:
    """Makes pieces one after another."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tokenizer = read_tokenizer(work.folder)
        self._texts = pa.ipc.open_file(
            pa.OSFile(str(work.folder / TEXTS))
        )  # read, not mapped: it soon goes again
        self._ends = np.cumsum([0, *(batch.num_rows for batch in mapped_batches(work.folder / TEXTS))])
        if work.earlier:
            self._candidates = mapped_array(work.pieces / CANDIDATES)
            self._earlier_terms = PageTerms.open(work.earlier)
            self._earlier_texts = pa.Table.from_batches(mapped_batches(work.earlier / TEXTS)).column("text")

    def make(self, number: int) -> Rows:
        """Make one piece; returns where its pages stand in the earlier index, -1 for pages that were read."""
        texts = self._texts.get_batch(number).column("text")
        rows = self._unchanged(texts, slice(self._ends[number], self._ends[number + 1]))
        place = self._work.place(number)
        place.mkdir()
        self._terms(texts, rows).save(place)
        return rows

    def _unchanged(self, texts: pa.Array, pages: slice) -> Rows:
        if not self._work.earlier:
            return np.full(len(texts), -1, dtype=np.int64)
        rows: Rows = np.array(self._candidates[pages])
        for place, row in enumerate(rows.tolist()):
            if row >= 0 and texts[place] != self._earlier_texts[row]:
                rows[place] = -1
        return rows

    def _terms(self, texts: pa.Array, rows: Rows) -> PageTerms:
        read, kept = np.flatnonzero(rows < 0), np.flatnonzero(rows >= 0)
        if not len(kept):
            return PageTerms.of(texts.to_pylist(), self._tokenizer)
        of_kept = self._earlier_terms.of_pages(rows[kept])
        if not len(read):
            return of_kept
        of_read = PageTerms.of(texts.take(pa.array(read)).to_pylist(), self._tokenizer)
        return joined([of_read, of_kept]).of_pages(np.argsort(np.concatenate([read, kept])))


_makers: list[PieceMaker] = []
"""The one of a worker process."""


def _begin(work: Work) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _makers.append(PieceMaker(work))


def _make(number: int) -> Rows:
    return _makers[0].make(number)


def _end_with_parent() -> None:
    """A worker waits for its next piece for ever, even if nobody is left to give it one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
