"""The same work for many items, some at a time, until all are done or one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from drag_rl.policies.base import ServerDown

Item = TypeVar("Item")


async def work_through(
    items: Iterable[Item], work: Callable[[Item], Awaitable[None]], concurrency: int
) -> None:
    """Do the work of every item, ``concurrency`` at a time; items are drawn as there is room for them.

    What one of them raises ends all of it, and is raised; ServerDown says that the same command goes on.
    """
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        error = errors.exceptions[0]
        if isinstance(error, ServerDown):
            raise ServerDown(f"{error}; what is done is kept, the same command goes on") from error
        raise error from error.__cause__
