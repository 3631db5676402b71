"""A limit on requests a second that all processes of one user on one machine keep together."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import time
from pathlib import Path

_TIME = struct.Struct("<d")
LONGEST_WAIT_S = 3600.0
"""A file that says to wait longer than that is of another clock."""


class RateLimit:
    """Requests at even distances, so that no second ever has more than ``per_s`` of them.

    A file holds when the next request is due: trainers have many processes, and a server counts the requests of all.
    """

    def __init__(self, path: Path, per_s: float) -> None:
        """``path`` is shared by all who ask the same server; its folder is made. ``per_s`` > 0."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._distance_s = path, 1 / per_s

    async def wait(self) -> None:
        """Return when the next request may be sent."""
        await asyncio.sleep(self.reserve())

    def reserve(self) -> float:
        """Take the next place; returns the seconds until then, 0 or more."""
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the system lets go when the file is closed
            file.seek(0)
            found = file.read()
            due, now = _TIME.unpack(found)[0] if len(found) == _TIME.size else 0.0, time.time()
            due = max(due, now) if due < now + LONGEST_WAIT_S else now
            file.truncate(0)
            file.write(_TIME.pack(due + self._distance_s))
        return due - now
