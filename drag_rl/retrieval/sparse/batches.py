"""Answering concurrent callers together: who asks while all threads are busy waits, and goes with the next batch."""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
THREADS = min(4, os.cpu_count() or 1)
"""Threads of an event loop that answer at the same time."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Asked, Answer]):
    """Who waits in one event loop; only that loop's thread touches it, so nothing is locked."""

    asked: deque[tuple[Asked, Future[Answer]]] = field(default_factory=deque)
    busy: int = 0
    """Threads at work."""
    due: bool = False
    """Whether the loop will hand out work once what is running now has asked."""


class Batches(Generic[Asked, Answer]):
    """A function of many questions, asked one by one, from any number of tasks and event loops.

    Nobody waits for a batch to fill: work is handed out as soon as a thread is free, in parts that get smaller, so
    that all threads end at about the same time.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Asked]], Sequence[Answer | Exception]],
        is_short: Callable[[Asked], bool] = lambda _: False,
    ) -> None:
        """``answer`` is called in threads; an exception among its answers is raised where its question was asked.

        A lone question that ``is_short`` is answered at once: a thread would have to wake up.
        """
        self._answer = answer
        self._is_short = is_short
        self._waiting: WeakKeyDictionary[AbstractEventLoop, _Waiting[Asked, Answer]] = WeakKeyDictionary()

    async def ask(self, asked: Asked) -> Answer:
        """The answer to one question, without blocking the event loop."""
        loop = get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = _Waiting()
        answer: Future[Answer] = loop.create_future()
        waiting.asked.append((asked, answer))
        self._hand_out_soon(loop, waiting)
        return await answer

    def _hand_out_soon(self, loop: AbstractEventLoop, waiting: _Waiting[Asked, Answer]) -> None:
        if not waiting.due and waiting.busy < THREADS:
            waiting.due = True
            loop.call_soon(self._hand_out, loop, waiting)

    def _hand_out(self, loop: AbstractEventLoop, waiting: _Waiting[Asked, Answer]) -> None:
        waiting.due = False
        if not waiting.busy and len(waiting.asked) == 1 and self._is_short(waiting.asked[0][0]):
            asked, answer = waiting.asked.popleft()
            try:
                (found,) = self._answer([asked])
            except Exception as error:  # raised where it was asked
                found = error
            _settle(answer, found)
            return
        while waiting.asked and waiting.busy < THREADS:
            size = -(-len(waiting.asked) // (THREADS - waiting.busy))
            batch = [waiting.asked.popleft() for _ in range(size)]
            waiting.busy += 1
            work = loop.run_in_executor(None, self._answer, [asked for asked, _ in batch])
            work.add_done_callback(lambda work, batch=batch: self._done(loop, waiting, batch, work))  # type: ignore[misc]

    def _done(
        self,
        loop: AbstractEventLoop,
        waiting: _Waiting[Asked, Answer],
        batch: Sequence[tuple[Asked, Future[Answer]]],
        work: Future[Sequence[Answer | Exception]],
    ) -> None:
        waiting.busy -= 1
        if waiting.asked:
            self._hand_out_soon(loop, waiting)
        failed = None if work.cancelled() else work.exception()
        for place, (_, answer) in enumerate(batch):
            if work.cancelled():  # the event loop is closing
                answer.cancel()
            else:
                _settle(answer, failed or work.result()[place])


def _settle(answer: Future[Answer], found: Answer | BaseException) -> None:
    """Give an answer to who asked, unless he has been cancelled."""
    if answer.done():
        return
    if isinstance(found, BaseException):
        answer.set_exception(found)
    else:
        answer.set_result(found)
