"""What many callers ask at once is asked together, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.batches import Batches


@settings(max_examples=30)
@given(
    items=st.lists(st.integers(0, 9), max_size=30),
    workers=st.integers(1, 3),
    size=st.integers(1, 12),
    wait=st.booleans(),
)
def test_everybody_gets_the_own_answer_in_batches_of_one_kind_and_size(
    items: list[int], workers: int, size: int, wait: bool
) -> None:
    batches: list[list[int]] = []
    busy, most = 0, 0

    async def answer(batch: Sequence[int]) -> list[int | Exception]:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        batches.append([*batch])
        await asyncio.sleep(0)
        busy -= 1
        return [ValueError(item) if item == 7 else item * 2 for item in batch]

    async def story() -> list[int | BaseException]:
        together: Batches[int, int] = Batches(
            answer,
            workers=workers,
            size=size,
            kind=lambda item: item % 2,
            weight=lambda item: item,
            before=(lambda: asyncio.sleep(0)) if wait else None,
        )
        return await asyncio.gather(*map(together.ask, items), return_exceptions=True)

    found = asyncio.run(story())
    for item, one in zip(items, found, strict=True):
        assert (isinstance(one, ValueError) and one.args == (7,)) if item == 7 else one == item * 2
    assert sorted(item for batch in batches for item in batch) == sorted(items) and most <= workers
    for batch in batches:
        assert len({item % 2 for item in batch}) == 1
        assert sum(batch) <= size or sum(batch[1:]) <= size - batch[0] or len(batch) == 1


def test_a_failure_is_its_batchs_and_the_next_goes_on() -> None:
    async def answer(batch: Sequence[str]) -> list[str]:
        if "bad" in batch:
            raise OSError("gone")
        return [] if "short" in batch else [*batch]

    async def story() -> None:
        together: Batches[str, str] = Batches(answer, workers=1, size=10)
        found = await asyncio.gather(*map(together.ask, ["bad", "good"]), return_exceptions=True)
        assert [str(one) for one in found] == ["gone", "gone"]
        with pytest.raises(ValueError, match="shorter"):
            await together.ask("short")
        assert await together.ask("good") == "good"

    asyncio.run(story())


def test_who_has_gone_is_not_answered() -> None:
    asked: list[str] = []

    async def answer(batch: Sequence[str]) -> list[str]:
        asked.extend(batch)
        await asyncio.sleep(0.01)
        return [*batch]

    async def story() -> None:
        together: Batches[str, str] = Batches(answer, workers=1, size=1)
        first, second, third = (asyncio.create_task(together.ask(one)) for one in "abc")
        await asyncio.sleep(0.001)
        second.cancel()
        assert await third == "c" and await first == "a"

    asyncio.run(story())
    assert asked == ["a", "c"]
