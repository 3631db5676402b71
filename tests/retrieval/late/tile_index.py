"""What tests of late indexes ask of one whose model reads tiles (see ``late_lab``)."""

from __future__ import annotations

import asyncio
from typing import Any

from late_lab import MODEL, TileEmbedder

from drag_rl.retrieval import Query
from drag_rl.retrieval.late.embedder import open_multi_vector_embedder
from drag_rl.retrieval.late.index import LateIndex
from drag_rl.retrieval.late.retriever import LateRetriever

TEXTS = {
    "cat#1": "red fox runs",
    "cat#2": "blue fox",
    "dog#1": "green tree and a red leaf",
    "dog#2": "yellow leaf",
    "dog#3": "blue tree",
}


def embedder_of(**options: Any) -> TileEmbedder:
    """The one that an index with these options uses."""
    found = open_multi_vector_embedder(LateIndex(**{"model": MODEL} | options).embedder_settings)
    assert isinstance(found, TileEmbedder)
    return found


def found_by(retriever: LateRetriever, text: str, **query: Any) -> list[str]:
    (ranking,) = asyncio.run(retriever.search([Query(text=text, **query)], 3))
    return [hit.page_id for hit in ranking.hits]
