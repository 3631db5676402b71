"""Answers of a server, kept on disk: the same query is asked once, by all processes of a machine."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

MAX_ANSWERS = 200_000
"""The oldest ones go beyond that. An answer of 20 hits takes less than a kilobyte."""
CHECK_EVERY = 1000

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where caches of this user lie: ``$XDG_CACHE_HOME/drag-rl``, or ``~/.cache/drag-rl``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "drag-rl"


class AnswerCache:
    """Texts by key, in a SQLite file; safe to share between threads and processes.

    A cache that cannot be used (a full disk, say) is done without, and that is logged once: it only saves time.
    """

    def __init__(self, path: Path, max_answers: int = MAX_ANSWERS) -> None:
        """``path`` is made with its folder when it is first used."""
        self._path, self._max_answers = path, max_answers
        self._lock = Lock()
        self._open: tuple[int, sqlite3.Connection] | None = None
        self._broken = False
        self._put = 0

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        """Those answers that are there."""
        with self._lock:
            try:
                connection = self._connection()
                select = "SELECT key, answer FROM answers WHERE key = ?"
                rows = (connection.execute(select, (key,)).fetchone() for key in keys)
                return dict(row for row in rows if row)
            except (sqlite3.Error, OSError) as error:
                return self._done_without(error)

    def put(self, answers: Mapping[str, str]) -> None:
        """Keep some answers."""
        with self._lock:
            try:
                connection = self._connection()
                with connection:
                    connection.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", answers.items())
                    self._put += len(answers)
                    if self._put >= CHECK_EVERY or self._max_answers < CHECK_EVERY:
                        self._put = 0
                        connection.execute(
                            "DELETE FROM answers WHERE rowid <= (SELECT max(rowid) FROM answers) - ?",
                            (self._max_answers,),
                        )
            except (sqlite3.Error, OSError) as error:
                self._done_without(error)

    def _connection(self) -> sqlite3.Connection:
        """This process's connection; a forked one makes its own."""
        if self._broken:
            raise sqlite3.OperationalError("is not used any more")
        if self._open is None or self._open[0] != os.getpid():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=10, check_same_thread=False)
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT)")
            self._open = os.getpid(), connection
        return self._open[1]

    def _done_without(self, error: Exception) -> dict[str, str]:
        if not self._broken:
            log.warning("%s: the cache is done without: %s", self._path, error)
        self._broken = True
        return {}
