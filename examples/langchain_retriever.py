"""An index as a retriever of LangChain.

    pip install langchain-core
    python examples/langchain_retriever.py data/index "save the workspace"

Each page found is a document: its text, and in the metadata its id, to cite it by, with its rank and score.
"""

from __future__ import annotations

import sys
from typing import Any

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field, PrivateAttr

from drag_rl import Hit, Query, Retriever, open_retriever, search


class DragRetriever(BaseRetriever):
    index: str
    """The folder that ``drag index`` made."""
    k: int = Field(default=5, ge=1)
    """Pages found for a query."""
    _retriever: Retriever = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self._retriever = open_retriever(self.index)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: Any,  # noqa: ARG002 (LangChain passes it)
        k: int | None = None,
    ) -> list[Document]:
        return self._documents(search(self._retriever, query, k or self.k))

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: Any,  # noqa: ARG002 (LangChain passes it)
        k: int | None = None,
    ) -> list[Document]:
        [ranking] = await self._retriever.search([Query(text=query)], k or self.k)
        return self._documents(ranking.hits)

    def _documents(self, hits: list[Hit] | tuple[Hit, ...]) -> list[Document]:
        return [
            Document(
                id=hit.page_id,
                page_content=self._retriever.pages.text(hit.page_id),
                metadata={"page_id": hit.page_id, "rank": hit.rank, "score": hit.score},
            )
            for hit in hits
        ]


if __name__ == "__main__":
    for document in DragRetriever(index=sys.argv[1], k=3).invoke(sys.argv[2]):
        print(document.metadata["page_id"], document.page_content[:60].replace("\n", " "))
