"""A growing file of rows: one line of JSON for each (question, sample), safe to kill at any moment and to go on with.

The manifest beside it is written first, with everything that shapes the rows, so that a later run with other settings
is refused; its fingerprint and counts are filled in when a run ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar, Generic, Self, TypeVar

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_write, manifest_path, read_manifest, sha256_file, write_manifest

Row = TypeVar("Row")
Key = tuple[str, int]
"""A question's id, and the 0-based number of its sample."""


class GrowingFile(ABC, Generic[Row]):
    """An open file of rows; make it with :meth:`open`, which also closes it. A subclass says what a row is."""

    stage: ClassVar[str]
    """What makes such files, for their manifests."""
    packages: ClassVar[tuple[str, ...]]
    """Packages whose versions the manifest tells."""

    def __init__(
        self, path: Path, file: IO[bytes], inputs: Mapping[str, str], config: Mapping[str, Any]
    ) -> None:
        self.path = path
        self.done: set[Key] = set()
        """The key of every row."""
        self._file = file
        self._inputs, self._config = dict(inputs), dict(config)
        self._started = time.monotonic()
        self._seconds_before = 0.0
        self._finished = False
        self.forget()

    @staticmethod
    @abstractmethod
    def key(row: Row) -> Key:
        """What a row is of."""

    @staticmethod
    @abstractmethod
    def line(row: Row) -> str:
        """A row as JSON, without the line end."""

    @staticmethod
    @abstractmethod
    def failed(row: Row) -> bool:
        """Whether a row tells of a failure, and may be made again."""

    @staticmethod
    @abstractmethod
    def rows(path: Path) -> Iterator[Row]:
        """The rows of a file. Raises InputError naming the file and the line that is none."""

    @abstractmethod
    def forget(self) -> None:
        """Set the counts to nothing."""

    @abstractmethod
    def count(self, row: Row) -> None:
        """Add a row to the counts."""

    @abstractmethod
    def counted(self) -> dict[str, int]:
        """The counts over all rows, those of earlier runs included, by name; ``errors`` are those that failed."""

    @classmethod
    def defaults(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings that files of older versions do not name, at what they were then."""
        del config
        return {}

    @classmethod
    @contextmanager
    def open(
        cls, path: Path, *, inputs: Mapping[str, str], config: Mapping[str, Any], retry_errors: bool = False
    ) -> Iterator[Self]:
        """Open a new file, or one to go on with; a torn last line is cut off, and a new file is removed if it
        fails without a row.

        Args:
            path: The JSONL file; missing folders are made.
            inputs: Name -> fingerprint of what the rows are made from.
            config: Every setting that shapes the rows, as JSON values.
            retry_errors: Take the rows that tell of failures out, so that they are made again.

        Raises:
            InputError: The file was made from other inputs or settings, is garbled, or another run writes it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        created = not path.exists() and not manifest_path(path).exists()
        file = _locked(path)
        try:
            store = cls(path, file, inputs, config)
            store._check_manifest()
            _cut_torn_line(file)
            store._read()
            if retry_errors and store.counted()["errors"]:
                store._drop_errors()
            yield store
            store._write_manifest(fingerprint=sha256_file(path))
        finally:
            if created and not store._finished and not path.stat().st_size:
                path.unlink()
                manifest_path(path).unlink(missing_ok=True)
            with suppress(OSError):  # every row is with the system already, or its failure is being told
                store._file.close()

    def append(self, row: Row) -> None:
        """Write a row and hand it to the system.

        Raises RuntimeError for a (question, sample) that is there, OSError, naming the file, on a full disk; the part
        of the row that still fitted is cut off when the file is opened again.
        """
        if self.key(row) in self.done:
            raise RuntimeError(f"{self.path}: {self.key(row)} is in the file already")
        if self._finished:
            self._write_manifest(fingerprint="")
        try:
            self._file.write(self.line(row).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            error.filename = str(self.path)
            raise
        self._add(row)

    def _add(self, row: Row) -> None:
        self.done.add(self.key(row))
        self.count(row)

    def _read(self) -> None:
        self.done = set()
        self.forget()
        for number, row in enumerate(self.rows(self.path), start=1):
            if self.key(row) in self.done:
                question_id, sample = self.key(row)
                raise InputError(
                    f"{self.path}: row {number} repeats question {question_id}, sample {sample}; remove one"
                )
            self._add(row)

    def _drop_errors(self) -> None:
        with atomic_write(self.path) as file:
            for row in self.rows(self.path):
                if not self.failed(row):
                    file.write(self.line(row) + "\n")
        self._file.close()
        self._file = _locked(self.path)
        self._read()

    def _check_manifest(self) -> None:
        if not manifest_path(self.path).exists():
            if self.path.stat().st_size:
                raise InputError(f"{self.path}: was not made by drag {self.stage}; give another file")
            self._write_manifest(fingerprint="")
            return
        found = read_manifest(self.path)
        self._seconds_before = found.seconds
        self._finished = bool(found.fingerprint)
        if found.stage != self.stage:
            raise InputError(f"{self.path}: was made by {found.stage}; give another file")
        before, now = (
            _flat(self.defaults(config)) | _flat({"input": _short(inputs), **config})
            for inputs, config in ((found.inputs, found.config), (self._inputs, self._config))
        )
        if before != now and not self.path.stat().st_size:  # nothing is there that could be mixed
            self._write_manifest(fingerprint="")
            return
        both = before.keys() & now.keys()  # what only one of them has says less
        for name in [*sorted(both), *sorted(before.keys() ^ now.keys())]:
            old, new = before.get(name), now.get(name)
            if old != new:
                raise InputError(
                    f"{self.path}: was begun with {name} = {old}, now it is {new}; give another file, or go on "
                    "with the same settings"
                )

    def _write_manifest(self, fingerprint: str) -> None:
        self._finished = bool(fingerprint)
        write_manifest(
            self.path,
            stage=self.stage,
            fingerprint=fingerprint,
            inputs=self._inputs,
            config=self._config,
            counts=self.counted(),
            seconds=self._seconds_before + time.monotonic() - self._started,
            packages=self.packages,
        )


def _locked(path: Path) -> IO[bytes]:
    """The file, opened to append and locked, so that no two runs write it; the system drops the lock of a dead run."""
    while True:
        file = path.open("ab+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise InputError(f"{path}: another run is writing this file") from None
        if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
        file.close()  # it was replaced between the two calls


def _cut_torn_line(file: IO[bytes]) -> None:
    """Cut off what follows the last line end: the row that a kill interrupted."""
    end = file.seek(0, os.SEEK_END)
    position = end
    while position:
        start = max(0, position - (1 << 16))
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position != end:
        file.truncate(position)


def _short(inputs: Mapping[str, str]) -> dict[str, str]:
    """Fingerprints as a reader can compare them."""
    return {name: fingerprint[:12] for name, fingerprint in inputs.items()}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
