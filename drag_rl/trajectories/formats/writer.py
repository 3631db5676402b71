"""A folder of files that appears as a whole: every format's training and validation rows, as JSONL and parquet."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from drag_rl.manifest import manifest_path, refuse_foreign

ROWS_AT_A_TIME = 512
WORK_FOLDER = ".unfinished"
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
    """``<format>_<split>.jsonl`` and ``.parquet`` in a folder, written aside and moved there together at the end."""

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema]) -> None:
        """Raises InputError when the folder is another stage's."""
        refuse_foreign(folder, ["format"], "--output-dir")
        self.counts: Counter[str] = Counter({f"{name}_{split}": 0 for name in schemas for split in SPLITS})
        """Rows by ``<format>_<split>``."""
        self._folder, self._work = folder, folder / WORK_FOLDER
        self._schemas = schemas
        self._files: dict[str, _RowFile] = {}

    def __enter__(self) -> Self:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True)
        for name in self.counts:
            schema = self._schemas[name.rpartition("_")[0]]
            self._files[name] = _RowFile(self._work, name, schema)
        return self

    def write(self, name: str, split: str, row: dict[str, Any]) -> None:
        """Add a row to the files of a format and split."""
        self._files[f"{name}_{split}"].write(row)
        self.counts[f"{name}_{split}"] += 1

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if kind is None:
            manifest_path(self._folder).unlink(missing_ok=True)
            for path in sorted(self._work.iterdir()):
                with path.open("rb") as written:
                    os.fsync(written.fileno())
                path.replace(self._folder / path.name)
        shutil.rmtree(self._work)
