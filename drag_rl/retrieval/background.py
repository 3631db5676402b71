"""An event loop in a thread of its own, for work that is waited for from elsewhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from threading import Lock, Thread
from typing import Any, TypeVar

Result = TypeVar("Result")


class BackgroundLoop:
    """One event loop for each process, started when it is first needed; safe to share between threads.

    What a coroutine holds open there from call to call, such as connections to a server, stays usable, whichever event
    loop, or none, its callers have.
    """

    def __init__(self, name: str) -> None:
        """``name`` is that of its thread."""
        self._name = name
        self._lock = Lock()
        self._loops: dict[int, asyncio.AbstractEventLoop] = {}

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine that runs there; the caller's event loop goes on meanwhile."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._running()))

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of a coroutine that runs there. Do not call it from there: it would wait for itself."""
        waiting = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return waiting.result()
        except BaseException:  # Ctrl-C, too, ends the work
            waiting.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        """The event loop of this process; one that was forked has none of its parent's threads."""
        with self._lock:
            loop = self._loops.get(os.getpid())
            if loop is None:
                loop = self._loops[os.getpid()] = asyncio.new_event_loop()
                Thread(target=loop.run_forever, name=self._name, daemon=True).start()
            return loop
