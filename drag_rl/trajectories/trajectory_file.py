"""A growing ``trajectories.jsonl``: one line per (question, sample), safe to kill at any moment and to go on with.

The manifest beside it is written first, with everything that shapes the rows, so that a later run with other settings
is refused; its fingerprint and counts are filled in when a run ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

from drag_rl.errors import InputError
from drag_rl.files.manifest import atomic_write, manifest_path, read_manifest, sha256_file, write_manifest
from drag_rl.protocol import EpisodeConfig
from drag_rl.trajectories.counts import Counts
from drag_rl.trajectories.rows import read_trajectories, write_row
from drag_rl.types import StopReason, Trajectory

STAGE = "collect"


class TrajectoryFile:
    """An open file of trajectories; make it with :meth:`open`, which also closes it."""

    def __init__(
        self, path: Path, file: IO[bytes], inputs: Mapping[str, str], config: Mapping[str, Any]
    ) -> None:
        self.path = path
        self.done: set[tuple[str, int]] = set()
        """The (question id, sample) of every row."""
        self.counts = Counts()
        """Over all rows, those of earlier runs included."""
        self._file = file
        self._inputs, self._config = dict(inputs), dict(config)
        self._started = time.monotonic()
        self._seconds_before = 0.0
        self._finished = False

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
            retry_errors: Take the rows of failed episodes out, so that they are made again.

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
            if retry_errors and store.counts.errors:
                store._drop_errors()
            yield store
            store._write_manifest(fingerprint=sha256_file(path))
        finally:
            if created and not store._finished and not path.stat().st_size:
                path.unlink()
                manifest_path(path).unlink(missing_ok=True)
            with suppress(OSError):  # every row is with the system already, or its failure is being told
                store._file.close()

    def append(self, trajectory: Trajectory) -> None:
        """Write a row and hand it to the system.

        Raises RuntimeError for a (question, sample) that is there, OSError, naming the file, on a full disk; the part
        of the row that still fitted is cut off when the file is opened again.
        """
        key = (trajectory.outcome.question.question_id, trajectory.sample)
        if key in self.done:
            raise RuntimeError(f"{self.path}: {key} is in the file already")
        if self._finished:
            self._write_manifest(fingerprint="")
        try:
            self._file.write(write_row(trajectory).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            error.filename = str(self.path)
            raise
        self._count(trajectory)

    def _count(self, trajectory: Trajectory) -> None:
        self.done.add((trajectory.outcome.question.question_id, trajectory.sample))
        self.counts.add(trajectory)

    def _read(self) -> None:
        self.done, self.counts = set(), Counts()
        for number, trajectory in enumerate(read_trajectories(self.path), start=1):
            key = (trajectory.outcome.question.question_id, trajectory.sample)
            if key in self.done:
                raise InputError(f"{self.path}: row {number} repeats {trajectory.trajectory_id}; remove one")
            self._count(trajectory)

    def _drop_errors(self) -> None:
        with atomic_write(self.path) as file:
            for trajectory in read_trajectories(self.path):
                if trajectory.outcome.stop_reason != StopReason.ERROR:
                    file.write(write_row(trajectory) + "\n")
        self._file.close()
        self._file = _locked(self.path)
        self._read()

    def _check_manifest(self) -> None:
        if not manifest_path(self.path).exists():
            if self.path.stat().st_size:
                raise InputError(f"{self.path}: was not made by drag {STAGE}; give another file")
            self._write_manifest(fingerprint="")
            return
        found = read_manifest(self.path)
        self._seconds_before = found.seconds
        self._finished = bool(found.fingerprint)
        if found.stage != STAGE:
            raise InputError(f"{self.path}: was made by {found.stage}; give another file")
        before, now = _settings(found.inputs, found.config), _settings(self._inputs, self._config)
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
            stage=STAGE,
            fingerprint=fingerprint,
            inputs=self._inputs,
            config=self._config,
            counts=self.counts.by_name(),
            seconds=self._seconds_before + time.monotonic() - self._started,
            packages=("openai", "bm25s"),
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


def _settings(inputs: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, Any]:
    """All that shapes the rows, by dotted names; an option that older versions lack is at its default."""
    known = (
        {"hints": False, "episode": EpisodeConfig().model_dump(mode="json")} if "episode" in config else {}
    )
    return _flat(known) | _flat({"input": _short(inputs), **config})


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
