"""From a query by page ids to one by rows, and from what was found by rows to a ranking by page ids."""

from __future__ import annotations

from drag_rl.retrieval.base import Query, Ranking
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.retrieval.sparse.bm25 import Found, Wanted
from drag_rl.types import Hit


def wanted_of(query: Query, top_k: int, pages: PageTexts) -> Wanted:
    """The query by rows. Raises ``InputError`` for pages and documents that are not in the index."""
    if query.scope is not None:
        pages.rows_of(query.scope)
    return Wanted(
        text=query.text,
        top_k=top_k,
        without=pages.rows(query.without),
        scope=query.scope,
        track=pages.rows(query.track),
    )


def ranking_of(found: Found, pages: PageTexts) -> Ranking:
    """The ranking by page ids; all pages that can be found are ranked."""
    page_ids = pages.page_ids
    return Ranking(
        hits=tuple(
            Hit(page_id=page_ids[row], rank=rank, score=score)
            for rank, (row, score) in enumerate(zip(found.rows, found.scores, strict=True), start=1)
        ),
        tracked=tuple(found.ranks),
    )
