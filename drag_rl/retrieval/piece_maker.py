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
from itertools import starmap
from multiprocessing.connection import wait
from pathlib import Path

import pyarrow as pa

from drag_rl.errors import InputError
from drag_rl.retrieval.mapped import mapped_array, mapped_batches
from drag_rl.retrieval.page_ids import TEXTS
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.tokenizer import read_tokenizer

READ = "read.npy"
"""The pages that are read, rising (R,)."""
PIECE_PAGES = 4096
FEW_PIECES = 4
"""So many are not worth starting processes for."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Some pages of an index folder, in pieces."""

    folder: Path
    """It has the texts and the tokenizer already."""
    pieces: Path
    """Where the pieces go; it has the numbers of the pages that are read."""
    pages: int
    """How many are read."""

    @property
    def places(self) -> list[Path]:
        """The folders of the pieces."""
        return [self.pieces / f"{number:06}" for number in range(-(-self.pages // PIECE_PAGES))]


def make_pieces(work: Work, workers: int) -> Iterator[int]:
    """Make all pieces; tells after each, in order, how many pages it has.

    The pieces do not depend on how many ``workers`` there are. Raises ``InputError`` if one of them is killed.
    """
    pieces = [(place, number * PIECE_PAGES) for number, place in enumerate(work.places)]
    if workers == 1 or len(pieces) <= FEW_PIECES:
        yield from starmap(PieceMaker(work, PIECE_PAGES).make, pieces)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(pieces)), context, initializer=_begin, initargs=(work, PIECE_PAGES)
    )
    try:
        yield from pool.map(_make, *zip(*pieces, strict=True))
    except BrokenProcessPool as error:
        raise InputError(
            "a process of the build was killed, perhaps for want of memory; try fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class PieceMaker:
    """Makes pieces one after another."""

    def __init__(self, work: Work, piece_pages: int) -> None:
        self._tokenizer = read_tokenizer(work.folder)
        self._texts = pa.Table.from_batches(mapped_batches(work.folder / TEXTS)).column("text")
        self._read = mapped_array(work.pieces / READ)
        self._piece_pages = piece_pages

    def make(self, place: Path, begin: int) -> int:
        """Make the piece of the pages from the ``begin``-th on that are read; returns how many there are."""
        rows = self._read[begin : begin + self._piece_pages]
        place.mkdir()
        PageTerms.of((self._texts[row].as_py() for row in rows.tolist()), self._tokenizer).save(place)
        return len(rows)


_makers: list[PieceMaker] = []
"""The one of a worker process."""


def _begin(work: Work, piece_pages: int) -> None:
    begin_worker()
    _makers.append(PieceMaker(work, piece_pages))


def _make(place: Path, begin: int) -> int:
    return _makers[0].make(place, begin)


def begin_worker() -> None:
    """In a process that a build has spawned: leave interrupts to the parent, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker waits for its next piece for ever, even if nobody is left to give it one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
