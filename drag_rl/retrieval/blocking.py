"""Waiting for a search in code without an event loop, or inside one that runs already, as a notebook's does."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from drag_rl.retrieval.background import BackgroundLoop

Result = TypeVar("Result")
_searches = BackgroundLoop("drag-rl searches")
"""Not the loop of remote indexes, for which a search there waits."""


def blocking(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, which runs in an event loop of its own in another thread, the same for every call.

    What the coroutine raises is raised here. Do not call it from the coroutine itself: it would wait for itself.
    """
    return _searches.wait(work)
