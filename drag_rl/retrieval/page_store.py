"""Writing the pages of an index folder: their texts, ids and terms, with bounded memory, however many there are."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from drag_rl.retrieval.build_progress import BuildProgress
from drag_rl.retrieval.joined_terms import Rows, write_joined
from drag_rl.retrieval.mapped import mapped_batches
from drag_rl.retrieval.page_ids import PAGE_ORDER, TEXTS, order_of
from drag_rl.retrieval.page_terms import PageTerms
from drag_rl.retrieval.piece_maker import READ, Work, make_pieces
from drag_rl.retrieval.tokenizer import Tokenizer, write_tokenizer
from drag_rl.retrieval.unchanged import unchanged_rows

BATCH_PAGES = 4096
"""Pages of a record batch of the texts; the files depend on it."""
_SCHEMA = pa.schema([("page_id", pa.large_string()), ("text", pa.large_string())])
_WORK = "pieces"


def write_page_store(
    folder: Path,
    texts: Iterable[tuple[str, str]],
    tokenizer: Tokenizer,
    *,
    earlier: Path | None = None,
    workers: int = 1,
    progress: BuildProgress | None = None,
    expected: int = 0,
) -> Rows:
    """Write the pages of an index folder; the same pages give the same files, whatever else is given.

    Args:
        folder: A folder without these files.
        texts: Page ids, all different, and texts; read once.
        tokenizer: How texts become terms.
        earlier: An index folder of the same tokenizer; the terms of pages that have not changed are taken from there.
        workers: Processes that read texts; few pages are read in this one.
        progress: Is told how it goes.
        expected: How many texts there may be, for ``progress``.

    Returns:
        Where each page stands in the earlier index, -1 for pages that are new or changed (D,).
    """
    progress = progress or BuildProgress()
    write_tokenizer(folder, tokenizer)
    _write_texts(folder, texts, progress, expected)
    ids = pa.Table.from_batches(mapped_batches(folder / TEXTS), _SCHEMA).column("page_id")
    np.save(folder / PAGE_ORDER, order_of(ids))
    rows = unchanged_rows(folder, earlier) if earlier else np.full(len(ids), -1, dtype=np.int64)
    read = np.flatnonzero(rows < 0)
    work = Work(folder=folder, pieces=folder / _WORK, pages=len(read))
    work.pieces.mkdir()
    np.save(work.pieces / READ, read)
    done = 0
    for pages in make_pieces(work, workers):
        done += pages
        progress.at("reading words", done, len(read))
    progress.at("putting the words together", 0, 0)
    kept = [earlier] if earlier else []
    places = rows.copy()
    places[read] = np.arange(len(read)) + (len(PageTerms.open(earlier).page_starts) - 1 if earlier else 0)
    write_joined(folder, [*kept, *work.places], places)
    shutil.rmtree(work.pieces)
    return rows


def _write_texts(
    folder: Path, texts: Iterable[tuple[str, str]], progress: BuildProgress, expected: int
) -> None:
    remaining, done = iter(texts), 0
    with pa.OSFile(str(folder / TEXTS), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        while batch := list(islice(remaining, BATCH_PAGES)):
            columns = [pa.array(column, pa.large_string()) for column in zip(*batch, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            done += len(batch)
            progress.at("reading pages", done, max(done, expected))
