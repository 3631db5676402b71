"""Encoding pieces of a corpus in this process, or in one for each device."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drag_rl.cpus import usable_cpus
from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder
from drag_rl.retrieval.late.page_source import PageSource
from drag_rl.retrieval.late.piece_encoder import MOST_LOADERS, PieceEncoder
from drag_rl.retrieval.late.store import Store
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.piece_maker import begin_worker


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """Pages of an index folder that are to be encoded."""

    folder: Path
    """It has the pages already."""
    pieces: Path
    """Where the pieces go."""
    source: PageSource
    model: MultiVectorSettings
    pool: int
    known: tuple[Path, npt.NDArray[np.int64]] | None
    """An earlier index folder, and where each page's vectors stand there, -1 where they do not (D,)."""

    def piece(self, begin: int) -> Path:
        """The file of the piece that begins at a page."""
        return self.path(self.pieces, begin)

    @staticmethod
    def path(pieces: Path, begin: int) -> Path:
        """See :meth:`piece`."""
        return pieces / f"{begin:012}.npz"


def encode_pieces(
    work: Work, todo: Sequence[range], devices: Sequence[str], told: Callable[[int], None]
) -> None:
    """Encode pieces, each some rows of pages; ``told`` hears how many pages more are done, again and again.

    Raises ``InputError`` as the model and the images do, and if a process is killed.
    """
    if len(devices) == 1 or len(todo) < 2:
        maker = _Maker(work, devices[0], 1)
        with maker.encoder:
            for rows in todo:
                maker.make(rows, told)
        return
    context = multiprocessing.get_context("spawn")
    idle = context.SimpleQueue()
    for device in devices:
        idle.put(device)
    pool = ProcessPoolExecutor(
        min(len(devices), len(todo)), context, initializer=_begin, initargs=(work, idle, len(devices))
    )
    try:
        for done in as_completed([pool.submit(_make, rows) for rows in todo]):
            told(done.result())
    except BrokenProcessPool as error:
        raise InputError(
            "a process that encodes pages was killed, perhaps for want of memory; try a smaller --batch-size"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


class _Maker:
    """Makes pieces on one device."""

    def __init__(self, work: Work, device: str, processes: int) -> None:
        self._work = work
        self._pages = PageTexts.open(work.folder)
        self._known, self._rows = None, np.empty(0, np.int64)
        if work.known is not None:
            folder, self._rows = work.known
            self._known = Store.open(folder, len(PageTexts.open(folder)))
        usable = usable_cpus()
        self.encoder = PieceEncoder(
            work.source,
            open_multi_vector_embedder(replace(work.model, device=device)),
            batch_size=work.model.batch_size,
            pool=work.pool,
            work=work.pieces,
            loaders=max(1, min(MOST_LOADERS, usable // processes)),
        )

    def make(self, rows: range, told: Callable[[int], None]) -> None:
        """Make the piece of some pages."""
        known = [self._vectors(row) for row in rows] if self._known else None
        encoded = self.encoder.encode(self._pages.page_ids[rows.start : rows.stop], known, told)
        encoded.write(self._work.piece(rows.start))

    def _vectors(self, row: int) -> npt.NDArray[np.uint16] | None:
        before = int(self._rows[row])
        if self._known is None or before < 0:
            return None
        return self._known.vectors[self._known.starts[before] : self._known.starts[before + 1]]


_makers: list[_Maker] = []
"""The one of a worker process."""


def _begin(work: Work, idle: SimpleQueue[str], processes: int) -> None:
    begin_worker()
    _makers.append(_Maker(work, idle.get(), processes))


def _make(rows: range) -> int:
    _makers[0].make(rows, lambda _pages: None)
    return len(rows)
