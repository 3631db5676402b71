"""A folder of files that appears as a whole: every format's training and validation rows, as JSONL and parquet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from drag_rl.files.folders import claim_files, new_files

STAGE = "format"
OPTION = "--output-dir"
ROWS_AT_A_TIME = 512
SPLITS = ("train", "val")
SUFFIXES = (".jsonl", ".parquet")


class _RowFile:
    """One JSONL file and its parquet twin."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        self._jsonl: IO[str] = (folder / f"{name}.jsonl").open("w", encoding="utf-8")
        self._parquet = pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd")
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def write(self, row: dict[str, Any]) -> None:
        self._jsonl.write(
            json.dumps({name: row[name] for name in self._schema.names}, ensure_ascii=False) + "\n"
        )
        self._rows.append(row)
        if len(self._rows) == ROWS_AT_A_TIME:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._jsonl.close()
        self._parquet.close()

    def _flush(self) -> None:
        self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


class TrainingFiles:
    """``<format>_<split>.jsonl`` and ``.parquet`` in a folder, written aside and moved there together at the end.

    Whoever writes them closes them and writes the manifest, both before the end.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema], names: Sequence[str]) -> None:
        """``names`` are all files that any run may write; raises InputError when one is somebody else's."""
        claim_files(folder, [STAGE], names, OPTION)
        self.counts: Counter[str] = Counter({f"{name}_{split}": 0 for name in schemas for split in SPLITS})
        """Rows by ``<format>_<split>``."""
        self.work = folder
        """Where the files lie until they are moved."""
        self._folder, self._names, self._schemas = folder, names, schemas
        self._place = ExitStack()
        self._files: dict[str, _RowFile] = {}

    def __enter__(self) -> Self:
        self.work = self._place.enter_context(new_files(self._folder, [STAGE], self._names, OPTION))
        for name in self.counts:
            schema = self._schemas[name.rpartition("_")[0]]
            self._files[name] = _RowFile(self.work, name, schema)
        return self

    def write(self, name: str, split: str, row: dict[str, Any]) -> None:
        """Add a row to the files of a format and split."""
        self._files[f"{name}_{split}"].write(row)
        self.counts[f"{name}_{split}"] += 1

    def close(self) -> None:
        """Write what is still in memory; nothing can be added then."""
        while self._files:
            self._files.popitem()[1].close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        finally:
            self._place.__exit__(kind, error, trace)
