"""The answer of ``POST /retrieve``: Search-R1's, to the byte, with ranks where they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from drag_rl.retrieval import PageTexts, Query, Ranking
from drag_rl.service.request import Asked
from drag_rl.types import Hit


def answer_of(asked: Asked, rankings: Sequence[Ranking], pages: PageTexts) -> bytes:
    """The JSON body. ``result`` has a list of hits for each query, best first.

    Where ``track`` was given, ``ranks`` has the exact rank of each tracked page (null: not ranked), and ``exact_to``
    how deep pages are ranked (null: all of them), query by query.
    """
    result = [
        [_hit(hit, query, asked, pages) for hit in ranking.hits]
        for query, ranking in zip(asked.queries, rankings, strict=True)
    ]
    found: dict[str, Any] = {"result": result}
    if asked.tells_ranks:
        found["ranks"] = [ranking.tracked for ranking in rankings]
        found["exact_to"] = [ranking.exact_to for ranking in rankings]
    return to_json(found)


def contents(page_id: str, body: str) -> str:
    r"""A page as Search-R1's clients read it: the title, quoted, on the first line, then the text.

    The title is the page's id, which names the document and the page.

    >>> contents("manual#3", "Saving a workspace")
    '"manual#3"\nSaving a workspace'
    """
    title = " ".join(page_id.split())
    return f'"{title}"\n{body}'


def _hit(hit: Hit, query: Query, asked: Asked, pages: PageTexts) -> dict[str, Any]:
    if asked.snippet_chars is None:
        body = pages.text(hit.page_id)
    else:
        body = pages.snippet(hit.page_id, query.text, asked.snippet_chars)
    document = {"id": hit.page_id, "contents": contents(hit.page_id, body)}
    return {"document": document, "score": hit.score} if asked.return_scores else document
