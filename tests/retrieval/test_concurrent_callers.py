"""Concurrent callers are answered together, each with its own answer, however the others fare."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from drag_rl.retrieval.sparse.batches import THREADS, Batches
from drag_rl.retrieval.sparse.recent import Recent


class Doubling:
    """Doubles numbers, while the gate is open; 13 is refused."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = Event()
        self.gate.set()

    def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.gate.wait(10)
        self.sizes.append(len(numbers))
        return [ValueError("unlucky") if number == 13 else 2 * number for number in numbers]


def test_who_asks_together_is_answered_together() -> None:
    doubling = Doubling()
    batches = Batches(doubling)

    async def ask_all() -> list[int]:
        return await asyncio.gather(*map(batches.ask, range(100, 164)))

    assert asyncio.run(ask_all()) == [2 * number for number in range(100, 164)]
    assert len(doubling.sizes) == THREADS and sum(doubling.sizes) == 64


def test_who_asks_while_all_threads_are_busy_goes_with_the_next_batch() -> None:
    doubling = Doubling()
    batches = Batches(doubling)

    async def ask_in_turn() -> list[int]:
        doubling.gate.clear()
        first = [asyncio.create_task(batches.ask(number)) for number in range(100, 100 + THREADS)]
        await asyncio.sleep(0.01)
        later = [asyncio.create_task(batches.ask(number)) for number in range(100 + THREADS, 140)]
        await asyncio.sleep(0.01)
        doubling.gate.set()
        return await asyncio.gather(*first, *later)

    assert asyncio.run(ask_in_turn()) == [2 * number for number in range(100, 140)]
    waited = sorted(doubling.sizes)[THREADS:]
    assert sum(waited) == 40 - THREADS, "each of the first went alone"
    assert max(waited) > 1 and len(waited) < 40 - THREADS, "the others went together"


def test_a_refused_question_is_its_askers_alone_and_a_cancelled_one_harms_nobody() -> None:
    batches = Batches(Doubling())

    async def ask_all() -> list[object]:
        asked = [asyncio.create_task(batches.ask(number)) for number in (1, 13, 2, 3)]
        await asyncio.sleep(0)
        asked[2].cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    one, unlucky, cancelled, three = asyncio.run(ask_all())
    assert (one, three) == (2, 6)
    assert isinstance(unlucky, ValueError) and isinstance(cancelled, asyncio.CancelledError)


def test_a_fault_of_the_work_reaches_all_who_wait_for_it() -> None:
    def broken(numbers: Sequence[int]) -> list[int | Exception]:
        raise MemoryError(len(numbers))

    with pytest.raises(MemoryError):
        asyncio.run(Batches(broken).ask(1))


def test_event_loops_of_several_threads_share_one() -> None:
    batches = Batches(Doubling())

    async def ask_all(first: int) -> list[int]:
        return await asyncio.gather(*map(batches.ask, range(first, first + 30)))

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda first: asyncio.run(ask_all(first)), range(100, 500, 100)))
    assert found == [[2 * number for number in range(first, first + 30)] for first in range(100, 500, 100)]


def test_what_is_asked_for_again_and_again_stays() -> None:
    recent: Recent[int, str] = Recent(2)
    recent.put(0, "kept")
    for number in range(1, 9):
        recent.put(number, "passing")
        assert recent.get(0) == "kept"
    assert recent.get(1) is None
