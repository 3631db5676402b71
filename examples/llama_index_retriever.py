"""An index as a retriever of LlamaIndex.

    pip install llama-index-core
    python examples/llama_index_retriever.py data/index "save the workspace"

Each page found is a node: its text and score, and its page id as the node's id, to cite it by.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from drag_rl import Hit, Query, open_retriever, search


class DragRetriever(BaseRetriever):
    def __init__(self, index: str, top_k: int = 5) -> None:
        super().__init__()
        self._index, self._top_k = open_retriever(index), top_k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._nodes(search(self._index, query_bundle.query_str, self._top_k))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        [ranking] = await self._index.search([Query(text=query_bundle.query_str)], self._top_k)
        return self._nodes(ranking.hits)

    def _nodes(self, hits: Sequence[Hit]) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(id_=hit.page_id, text=self._index.pages.text(hit.page_id)), score=hit.score
            )
            for hit in hits
        ]


if __name__ == "__main__":
    for found in DragRetriever(sys.argv[1], top_k=3).retrieve(sys.argv[2]):
        print(found.node_id, found.text[:60].replace("\n", " "))
