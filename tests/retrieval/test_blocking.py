"""Waiting for coroutines in any code: beside a running event loop, from several threads, in a forked process."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from drag_rl.retrieval.blocking import blocking


async def doubled(number: int) -> int:
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError(f"{number} is negative")
    return 2 * number


async def loop_id() -> int:
    return id(asyncio.get_running_loop())


def test_the_result_and_the_error_are_the_coroutines_own():
    assert blocking(doubled(4)) == 8
    with pytest.raises(ValueError, match="-1 is negative"):
        blocking(doubled(-1))


def test_it_works_inside_a_running_event_loop():
    async def notebook() -> int:
        return blocking(doubled(5))

    assert asyncio.run(notebook()) == 10


def test_every_call_has_the_same_event_loop():
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(lambda _: blocking(loop_id()), range(8)))) == 1


def test_a_forked_process_does_not_wait_for_its_parents_thread():
    blocking(doubled(1))
    child = os.fork()
    if not child:
        os._exit(blocking(doubled(21)))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 42
