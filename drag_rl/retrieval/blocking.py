"""Waiting for a search in code without an event loop, or inside one that runs already, as a notebook's does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from functools import cache
from threading import Lock, Thread
from typing import Any, TypeVar

Result = TypeVar("Result")
_lock = Lock()


def blocking(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, which runs in an event loop of its own in another thread, the same for every call.

    So what a retriever holds open from search to search, such as connections to a server, stays usable. What the
    coroutine raises is raised here. Do not call it from the coroutine itself: it would wait for itself.
    """
    with _lock:
        loop = _loop(os.getpid())
    waiting = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return waiting.result()
    except BaseException:  # Ctrl-C, too, ends the work
        waiting.cancel()
        raise


@cache
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """The event loop of a process; one that was forked has none of its parent's threads."""
    del process
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="drag-rl searches", daemon=True).start()
    return loop
