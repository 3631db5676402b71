"""Concurrent callers share one worker: what is asked while it works is its next batch, without any waiting time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class SharedBatches(Generic[Asked, Answer]):
    """Answers what several callers ask, in one thread, in the order of asking."""

    def __init__(self, answer: Callable[[Sequence[Asked]], Sequence[Answer | Exception]], most: int) -> None:
        """``answer`` gives an answer, or the exception to raise, for each of up to about ``most`` things asked."""
        self._answer = answer
        self._most = most
        self._lock = Lock()
        self._waiting: deque[tuple[Sequence[Asked], Future[list[Answer]]]] = deque()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="drag-search")

    async def ask(self, asked: Sequence[Asked]) -> list[Answer]:
        """The answers, in order; raises the first exception among them."""
        if not asked:
            return []
        future: Future[list[Answer]] = Future()
        with self._lock:
            self._waiting.append((asked, future))
        self._worker.submit(self._work)
        return await asyncio.wrap_future(future)

    def _work(self) -> None:
        """Answer what waits by now; a call that finds nothing has been forestalled by an earlier one."""
        callers = self._taken()
        if not callers:
            return
        every = [one for asked, _ in callers for one in asked]
        try:
            answers = iter(self._answer(every))
        except BaseException as error:  # raised where it is waited for
            for _, future in callers:
                future.set_exception(error)
            return
        for asked, future in callers:
            own = [next(answers) for _ in asked]
            failed = next((one for one in own if isinstance(one, Exception)), None)
            if failed is None:
                future.set_result([one for one in own if not isinstance(one, Exception)])
            else:
                future.set_exception(failed)

    def _taken(self) -> list[tuple[Sequence[Asked], Future[list[Answer]]]]:
        """The callers that wait longest, those who gave up left out."""
        taken: list[tuple[Sequence[Asked], Future[list[Answer]]]] = []
        size = 0
        with self._lock:
            while self._waiting and size < self._most:
                asked, future = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    taken.append((asked, future))
                    size += len(asked)
        return taken
