"""``POST /retrieve``: reads a request within its limits, searches it in a batch with others, and answers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from drag_rl.batches import Batches
from drag_rl.errors import InputError
from drag_rl.retrieval import Ranking, Retriever
from drag_rl.service.answer import answer_of
from drag_rl.service.limits import Limits
from drag_rl.service.live_index import LiveIndex
from drag_rl.service.metrics import Metrics
from drag_rl.service.request import Asked, read_request

INDEX_HEADER = "Drag-Index"
"""Header of every answer: the fingerprint of the index that gave it."""
WORKERS = 2
"""Batches under way at once: one that takes its time does not hold up all."""
BATCH_QUERIES = 256
FEW_HITS = 1024
"""So many hits are put into words at once: a thread would have to share Python's lock with what comes in."""
LARGE_BODY_BYTES = 64 << 10
"""A body from this size on is read off the event loop."""

log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """A body, and the index that it comes from."""

    body: bytes
    fingerprint: str


class Refused(Exception):  # noqa: N818 (what happened, not whose fault)
    """A request that is not answered: its status and a line that says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Retrieve:
    """The endpoint. Call it with a request."""

    def __init__(self, index: LiveIndex, metrics: Metrics, limits: Limits, top_k: int) -> None:
        self._index, self._metrics, self._limits, self._top_k = index, metrics, limits, top_k
        self._batches: Batches[Asked, Answered] = Batches(
            self._search,
            workers=WORKERS,
            size=BATCH_QUERIES,
            kind=lambda asked: asked.top_k,
            weight=lambda asked: len(asked.queries),
        )
        self._in_flight = 0

    async def __call__(self, request: Request) -> Response:
        """The answer to one request: 200, or a refusal with one line in ``detail``."""
        started = time.perf_counter()
        response = await self._response(request)
        self._metrics.answered(response.status_code, time.perf_counter() - started)
        return response

    async def _response(self, request: Request) -> Response:
        if self._in_flight >= self._limits.concurrency:
            return refusal(503, f"{self._in_flight} requests wait already; come again", {"Retry-After": "1"})
        self._in_flight += 1
        self._metrics.in_flight.set(self._in_flight)
        limit_s = self._limits.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                answered = await self._batches.ask(await self._asked(request))
        except Refused as refused:
            return refusal(refused.status, str(refused))
        except TimeoutError:
            return refusal(504, f"no answer within {limit_s:g} s")
        except ClientDisconnect:
            return refusal(400, "the client left before its request was read")
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.set(self._in_flight)
        headers = {INDEX_HEADER: answered.fingerprint}
        return Response(answered.body, media_type="application/json", headers=headers)

    async def _asked(self, request: Request) -> Asked:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._limits.body_bytes:
                raise Refused(413, f"the body is longer than {self._limits.body_bytes} bytes")
        read = (bytes(body), self._limits, self._top_k)
        try:
            if len(body) < LARGE_BODY_BYTES:
                return read_request(*read)
            return await asyncio.to_thread(read_request, *read)
        except InputError as error:
            raise Refused(422, str(error)) from None

    async def _search(self, batch: Sequence[Asked]) -> Sequence[Answered | Exception]:
        """The answers of a batch, all from one index; what is wrong with one request is no other's trouble."""
        retriever = self._index.now.retriever
        wrong = [_unknown(asked, retriever) for asked in batch]
        good = [asked for asked, refused in zip(batch, wrong, strict=True) if refused is None]
        try:
            found = iter(await self._answers(good, retriever) if good else [])
        except Exception as error:  # a request that breaks the search must not take its neighbours along
            if len(batch) > 1:
                return [answer for asked in batch for answer in await self._search([asked])]
            log.exception("a search failed")
            return [Refused(500, f"the search failed: {_one_line(error)}")]
        return [next(found) if refused is None else refused for refused in wrong]

    async def _answers(self, batch: Sequence[Asked], retriever: Retriever) -> list[Answered]:
        queries = [query for asked in batch for query in asked.queries]
        self._metrics.searched(len(queries))
        rankings = await retriever.search(queries, batch[0].top_k)
        if sum(len(ranking.hits) for ranking in rankings) <= FEW_HITS:
            return _in_words(batch, rankings, retriever)
        return await asyncio.to_thread(_in_words, batch, rankings, retriever)


def refusal(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that is none, with one line that says why, as FastAPI puts it."""
    body = json.dumps({"detail": why})
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def _in_words(batch: Sequence[Asked], rankings: Sequence[Ranking], retriever: Retriever) -> list[Answered]:
    left = iter(rankings)
    return [
        Answered(
            answer_of(asked, [next(left) for _ in asked.queries], retriever.pages), retriever.fingerprint
        )
        for asked in batch
    ]


def _unknown(asked: Asked, retriever: Retriever) -> Refused | None:
    """What a request names that the index does not have, if anything."""
    pages = retriever.pages
    try:
        for query in asked.queries:
            pages.rows(query.track)
            pages.rows(query.without)
            if query.scope is not None:
                pages.rows_of(query.scope)
    except InputError as error:
        return Refused(422, _one_line(error))
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
