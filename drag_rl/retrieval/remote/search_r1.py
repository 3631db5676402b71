"""A server that speaks Search-R1's ``/retrieve`` and knows nothing of ours: its best pages, found among ours."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from drag_rl.retrieval.base import Query, Ranking, check_top_k
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.remote.answers import Answers
from drag_rl.retrieval.remote.asks import Ask, Found, sendable
from drag_rl.retrieval.remote.cache import AnswerCache
from drag_rl.retrieval.remote.transport import Transport
from drag_rl.types import Hit


class SearchR1Server:
    """One foreign server, whose documents are told by their ids or, where it has none or others, by their texts."""

    def __init__(self, transport: Transport, pages: PageTexts) -> None:
        self.transport, self._pages = transport, pages

    async def answer(self, asks: Sequence[Ask]) -> list[Found]:
        """See ``Server``. A document that is none of the pages is an error: hits must not get lost in silence."""
        body = {"queries": [ask.text for ask in asks], "topk": asks[0].top_k, "return_scores": True}
        content = (await self.transport.post("/retrieve", body)).content
        result = content.get("result") if isinstance(content, dict) else None
        if not isinstance(result, list) or len(result) != len(asks):
            raise self.transport.failed("its answer has no 'result' for each query", "/retrieve")
        return [self._found(hits) for hits in result]

    def _found(self, hits: Any) -> Found:
        """The hits of one query, those of equal score in page order."""
        if not isinstance(hits, list):
            raise self.transport.failed(f"its answer has {_short(hits)} for hits", "/retrieve")
        scores: dict[str, float] = {}
        for place, hit in enumerate(hits, start=1):
            scored = isinstance(hit, dict) and "document" in hit
            page_id = self._page_id(hit["document"] if scored else hit)
            score = hit.get("score") if isinstance(hit, dict) else None
            if score is None:  # rerankers and servers of web searches give the order alone
                score = 1 / place
            if not isinstance(score, (int, float)) or not math.isfinite(score):
                raise self.transport.failed(f"its answer has the score {_short(score)}", "/retrieve")
            scores.setdefault(page_id, float(score))
        best = sorted(scores, key=lambda page_id: (-scores[page_id], self._pages.row(page_id)))
        return Found(hits=tuple((page_id, scores[page_id]) for page_id in best))

    def _page_id(self, document: Any) -> str:
        """Which page a document is. Raises ``ServerFailed`` for one that is none."""
        own = document.get("id") if isinstance(document, dict) else None
        if own is not None and str(own) in self._pages:
            return str(own)
        text = document.get("contents") if isinstance(document, dict) else document
        if isinstance(text, str):
            for part in (text.partition("\n")[2], text):
                if (page_id := self._by_text.get(_squeezed(part))) is not None:
                    return page_id
        raise self.transport.failed(
            f"finds {_short(document)}, which is none of the pages, neither by its id nor by its text; give the pages "
            "that the server has with drag index --pages",
            "/retrieve",
        )

    @cached_property
    def _by_text(self) -> dict[bytes, str]:
        """The first page of each text; of empty ones, which say nothing, none."""
        found: dict[bytes, str] = {}
        for page_id in self._pages.page_ids:
            found.setdefault(_squeezed(self._pages.text(page_id)), page_id)
        found.pop(_squeezed(""), None)
        return found


class SearchR1Retriever:
    """Searches by a foreign server: ranks are known down to ``depth``, the number of hits that it is asked for.

    Pages that a query leaves out are asked for on top, and of a document's pages those are ranked that are among the
    hits of the whole corpus. A query without a letter or digit finds nothing.
    """

    def __init__(
        self,
        server: SearchR1Server,
        pages: PageTexts,
        fingerprint: str,
        depth: int,
        cache: AnswerCache | None = None,
    ) -> None:
        """``depth`` is at least 1; ``fingerprint`` is this index's."""
        self.pages, self.fingerprint, self._depth = pages, fingerprint, depth
        self._answers = Answers(server, fingerprint, cache)

    async def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """See :class:`drag_rl.retrieval.base.Retriever`; queries of equal text are one to the server."""
        check_top_k(top_k)
        depths: dict[str, int] = {}
        for query in queries:
            self.pages.rows([*query.track, *query.without])
            if query.scope is not None:
                self.pages.rows_of(query.scope)
            if any(map(str.isalnum, query.text)):
                depths[query.text] = max(depths.get(query.text, 0), self._depth + len(query.without))
        asks = {text: Ask(text=sendable(text), top_k=depth) for text, depth in depths.items()}
        found = await self._answers.of(asks.values())
        return [
            self._ranking(query, found[asks[query.text]] if query.text in asks else Found(hits=()), top_k)
            for query in queries
        ]

    def _ranking(self, query: Query, found: Found, top_k: int) -> Ranking:
        left = [(page_id, score) for page_id, score in found.hits if page_id not in query.without][
            : self._depth
        ]
        if query.scope is not None:
            left = [hit for hit in left if hit[0].rpartition("#")[0] == query.scope]
        hits = [
            Hit(page_id=page_id, rank=rank, score=score)
            for rank, (page_id, score) in enumerate(left, start=1)
        ]
        ranks = {hit.page_id: hit.rank for hit in hits}
        return Ranking(
            hits=tuple(hits[:top_k]),
            tracked=tuple(map(ranks.get, query.track)),
            exact_to=self._depth if query.scope is None else len(hits),
        )


def _squeezed(text: str) -> bytes:
    """A digest of a text's words, whatever the space between them."""
    return hashlib.blake2b(" ".join(text.split()).encode("utf-8", "replace"), digest_size=16).digest()


def _short(value: Any) -> str:
    return repr(value)[:100]
