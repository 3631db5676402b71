"""What many callers ask at once, asked together: a batch is made of all that waits whenever a worker is free.

There is no waiting window: a lone caller is answered as fast as can be, and a crowd shares batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Collects items and hands them on in batches. Use it in one event loop."""

    def __init__(
        self,
        answer: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        workers: int,
        size: int,
        kind: Callable[[Item], Hashable] = lambda _: None,
        weight: Callable[[Item], int] = lambda _: 1,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """How to answer, and how much at once.

        Args:
            answer: The answers of a batch's items, in order; an exception in an answer's place is raised to its asker,
                one that is raised to all askers of the batch.
            workers: How many batches may be under way at once.
            size: The weight that a batch may have; an item that is heavier alone is a batch of its own.
            kind: Items of equal kind may share a batch.
            weight: How heavy an item is.
            before: Awaited before a batch is made up, by one worker at a time, so that what comes in meanwhile is in
                it: a rate limit, say. It must not raise.
        """
        self._answer, self._workers, self._size = answer, workers, size
        self._kind, self._weight, self._before = kind, weight, before
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()  # an event loop alone does not keep its tasks
        self._turn = asyncio.Lock()

    async def ask(self, item: Item) -> Answer:
        """The answer for one item. Raises what answering it raised."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._busy < self._workers:
            self._busy += 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _work(self) -> None:
        try:
            while batch := await self._next_batch():
                await self._answer_all(batch)
        finally:  # at once: who asks next must not count on a worker that has looked already
            self._busy -= 1

    async def _answer_all(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._answer([item for item, _ in batch])
            answered = [*zip(batch, answers, strict=True)]
        except Exception as error:  # whatever it was, it is its askers' to know
            answered = [(asked, error) for asked in batch]
        for (_, future), answer in answered:
            if future.done():  # its asker has gone
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _next_batch(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """What is to be answered next, once it may be; empty if nothing waits."""
        if self._before is None:
            return self._taken()
        async with self._turn:
            if self._waiting:
                await self._before()
            return self._taken()

    def _taken(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        """The oldest item, and those behind it that may share its batch; they wait no more."""
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        left: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        room = self._size
        for item, future in self._waiting:
            if future.done():
                continue
            fits = not batch or (self._kind(item) == self._kind(batch[0][0]) and self._weight(item) <= room)
            if fits:
                batch.append((item, future))
                room -= self._weight(item)
            else:
                left.append((item, future))
        self._waiting = left
        return batch
