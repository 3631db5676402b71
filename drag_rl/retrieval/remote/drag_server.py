"""Our own service, ``drag serve``: exact ranks, and an index that says what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
from pydantic import BaseModel, FiniteFloat, ValidationError

from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.remote.answers import Answers
from drag_rl.retrieval.remote.asks import Ask, Found, sendable
from drag_rl.retrieval.remote.background import CONNECTIONS
from drag_rl.retrieval.remote.cache import AnswerCache
from drag_rl.retrieval.remote.transport import Refused, ServerFailed, Transport, said
from drag_rl.types import Hit

INDEX_HEADER = "drag-index"
"""The fingerprint of the index that gave an answer."""


class _Document(BaseModel):
    id: str


class _Hit(BaseModel):
    document: _Document
    score: FiniteFloat


class _Body(BaseModel):
    result: list[list[_Hit]]
    ranks: list[list[int | None]]
    exact_to: list[int | None]


class DragServer:
    """One of our services, with the index that it must have."""

    def __init__(self, transport: Transport, index: str, pages: PageTexts) -> None:
        """``index`` is the fingerprint of its index, ``pages`` are that index's."""
        self.transport, self._index, self._pages = transport, index, pages

    async def answer(self, asks: Sequence[Ask]) -> list[Found]:
        """See ``Server``."""
        body: dict[str, Any] = {
            "queries": [ask.text for ask in asks],
            "topk": asks[0].top_k,
            "return_scores": True,
            "snippet_chars": 0,
            "track": [ask.track for ask in asks],
            "without": [ask.without for ask in asks],
            "scope": [ask.scope for ask in asks],
        }
        content, headers = await self.transport.post("/retrieve", body)
        if headers.get(INDEX_HEADER) != self._index:
            raise changed(self.transport)
        try:
            found = _Body.model_validate(content)
            answers = [
                Found(
                    hits=tuple((hit.document.id, hit.score) for hit in hits),
                    ranks=tuple(ranks),
                    exact_to=exact_to,
                )
                for hits, ranks, exact_to in zip(found.result, found.ranks, found.exact_to, strict=True)
            ]
            fits = all(
                len(one.ranks) == len(ask.track)
                and len(one.hits) <= ask.top_k
                and all(page_id in self._pages for page_id, _ in one.hits)
                for ask, one in zip(asks, answers, strict=True)
            )
        except (ValidationError, ValueError) as error:
            raise self.transport.failed("its answer is none of drag serve", "/retrieve") from error
        if not fits:
            raise self.transport.failed("its answer does not fit what was asked", "/retrieve")
        return answers


class DragServiceRetriever:
    """Searches by one of our services; what it finds is what the service's own index finds."""

    def __init__(
        self, server: DragServer, pages: PageTexts, fingerprint: str, cache: AnswerCache | None = None
    ) -> None:
        """``fingerprint`` is this index's, and stands for the service's."""
        self.pages, self.fingerprint = pages, fingerprint
        self._answers = Answers(server, fingerprint, cache)

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`. Raises ``ServerFailed`` when the service does not answer."""
        check_top_k(top_k)
        for query in queries:
            self.pages.rows([*query.track, *query.without])
            if query.scope is not None:
                self.pages.rows_of(query.scope)
        asks = [
            Ask(
                text=sendable(query.text),
                top_k=max(1, top_k),
                track=tuple(query.track),
                without=tuple(sorted(query.without)),
                scope=query.scope,
            )
            for query in queries
        ]
        found = await self._answers.of(asks)
        return [_ranking(found[ask], top_k) for ask in asks]


def _ranking(found: Found, top_k: int) -> Ranking:
    hits = enumerate(found.hits[:top_k], start=1)
    return Ranking(
        hits=tuple(Hit(page_id=page_id, rank=rank, score=score) for rank, (page_id, score) in hits),
        tracked=found.ranks,
        exact_to=found.exact_to,
    )


def changed(transport: Transport) -> ServerFailed:
    """The error of a service whose index is another one than that which was described."""
    return transport.failed("serves another index than it did; run drag index --kind http again")


def served_index(transport: Transport) -> tuple[str, int] | None:
    """The fingerprint and the number of pages of a service of ours; None if the server is another one.

    Raises ``ServerFailed`` for a server that does not answer.
    """
    try:
        found = CONNECTIONS.wait(transport.get("/health")).content
    except Refused:
        return None
    try:
        return str(found["fingerprint"]), int(found["pages"])
    except (TypeError, KeyError, ValueError):
        return None


def served_pages(transport: Transport, index: str) -> Iterator[tuple[str, str]]:
    """The ids and texts of a service's pages, in page order, as they come. Raises ``ServerFailed``."""
    try:
        with httpx2.Client(**transport.options()) as client, client.stream("GET", "/pages") as response:
            if response.status_code != 200:
                raise transport.failed(
                    said(response.status_code, response.headers, response.read()), "/pages"
                )
            if response.headers.get(INDEX_HEADER) != index:
                raise changed(transport)
            for line in response.iter_lines():
                page = json.loads(line)
                yield str(page["id"]), str(page["text"])
    except httpx2.HTTPError as error:
        raise transport.failed(f"broke off: {error or type(error).__name__}", "/pages") from error
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, ServerFailed):
            raise
        raise transport.failed(f"sends what is no page ({error})", "/pages") from error
