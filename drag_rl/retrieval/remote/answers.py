"""Answers of a server: from the cache if they are there, else asked for, those that wait for a connection together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from drag_rl.batches import Batches
from drag_rl.retrieval.remote.asks import Ask, Found
from drag_rl.retrieval.remote.background import CONNECTIONS
from drag_rl.retrieval.remote.cache import AnswerCache
from drag_rl.retrieval.remote.transport import Transport

REQUEST_WEIGHT = 10_000
"""Of the queries of one request, about a hundred small ones: less than our service's own limits allow."""


class Server(Protocol):
    """A protocol by which a server is asked."""

    transport: Transport

    async def answer(self, asks: Sequence[Ask]) -> list[Found]:
        """What it finds for queries of equal ``top_k``, in order. Raises ``ServerFailed``."""


class Answers:
    """The answers of one server."""

    def __init__(self, server: Server, index: str, cache: AnswerCache | None) -> None:
        """``index`` is a fingerprint: answers in the cache are those of an index."""
        self._cache, self._index = cache, index
        self._batches: Batches[Ask, Found] = Batches(
            server.answer,
            workers=server.transport.settings.connections,
            size=REQUEST_WEIGHT,
            kind=lambda ask: ask.top_k,
            weight=lambda ask: ask.weight,
            before=server.transport.turn,
        )

    async def of(self, asks: Iterable[Ask]) -> dict[Ask, Found]:
        """The answer to each query, from any event loop. Raises ``ServerFailed``: nothing is left out in silence."""
        keys = {ask: ask.key(self._index) for ask in dict.fromkeys(asks)}
        kept: dict[str, str] = {}
        if self._cache:
            kept = await asyncio.to_thread(self._cache.get, [*keys.values()])
        found = {ask: Found.of_text(kept[key]) for ask, key in keys.items() if key in kept}
        missing = [ask for ask in keys if ask not in found]
        if missing:
            fresh = dict(zip(missing, await CONNECTIONS.run(self._asked(missing)), strict=True))
            if self._cache:
                texts = {keys[ask]: one.as_text() for ask, one in fresh.items()}
                await asyncio.to_thread(self._cache.put, texts)
            found |= fresh
        return found

    async def _asked(self, asks: Sequence[Ask]) -> list[Found]:
        return await asyncio.gather(*map(self._batches.ask, asks))
