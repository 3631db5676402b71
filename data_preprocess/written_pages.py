"""The pages of a data set once they are written: looked up and read through by column, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drag_rl.corpus.pages import PAGES_FILE

BATCH_ROWS = 2048
"""Rows of a row group, see ``drag_rl.files.parquet``."""


class WrittenPages:
    """The pages of a folder that the conversion has just written."""

    def __init__(self, pages_dir: Path) -> None:
        self.folder = pages_dir
        self.file = pages_dir / PAGES_FILE

    @property
    def groups(self) -> int:
        """How many row groups the file has."""
        return len(self.starts())

    def starts(self) -> list[int]:
        """The place of each row group's first page, from 0."""
        with pq.ParquetFile(self.file) as file:
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        return [0, *accumulate(rows)][: len(rows)]

    def ids(self) -> Iterator[str]:
        """The id of each page, in the file's order."""
        return (page_id for (page_id,) in self.columns("page_id"))

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """The values of some columns for each page, in the file's order."""
        for batch in self._batches(list(names)):
            yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)

    def known(self, page_ids: Collection[str]) -> set[str]:
        """Those of the ids that are pages."""
        wanted = frozenset(page_ids)
        found: set[str] = set()
        for batch in self._batches(["page_id"]):
            found |= wanted.intersection(batch.column(0).to_pylist())
        return found

    def texts(self, groups: Collection[int] | None = None) -> Iterator[str]:
        """The text of each page, in the file's order; of some row groups only, if they are given."""
        for batch in self._batches(["text"], groups):
            yield from batch.column(0).to_pylist()

    def _batches(self, columns: list[str], groups: Collection[int] | None = None) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.file, pre_buffer=False) as file:
            chosen = None if groups is None else sorted(groups)
            yield from file.iter_batches(BATCH_ROWS, row_groups=chosen, columns=columns, use_threads=False)
