"""Several requests at once, of which none goes on alone when another one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def at_once(asked: Iterable[Awaitable[T]]) -> list[T]:
    """What all of them give, in their order. Raises the first error, in their order, once all have ended."""
    given = []
    for result in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        given.append(result)
    return given
