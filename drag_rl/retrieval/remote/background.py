"""One event loop of this process, in a thread of its own, for connections that outlive any caller's event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from functools import cache
from threading import Lock, Thread
from typing import Any, TypeVar

Result = TypeVar("Result")
_lock = Lock()


async def in_background(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that runs there; this event loop goes on meanwhile."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _running_loop()))


def waited_for(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that runs there, for code without an event loop."""
    waiting = asyncio.run_coroutine_threadsafe(work, _running_loop())
    try:
        return waiting.result()
    except BaseException:  # Ctrl-C, too, ends the work
        waiting.cancel()
        raise


def _running_loop() -> asyncio.AbstractEventLoop:
    with _lock:
        return _loop(os.getpid())


@cache
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """The event loop of a process; one that was forked has none of its parent's threads."""
    del process
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="drag-rl http", daemon=True).start()
    return loop
