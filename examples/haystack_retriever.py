"""An index as a component of Haystack.

    pip install haystack-ai
    python examples/haystack_retriever.py data/index "save the workspace"

Each page found is a document: its text and score, and its page id, to cite it by, as the document's id.
"""

from __future__ import annotations

import sys
from typing import Any

from haystack import Document, Pipeline, component, default_from_dict, default_to_dict

from drag_rl import Retriever, open_retriever, search


@component
class DragRetriever:
    def __init__(self, index: str, top_k: int = 5) -> None:
        self.index, self.top_k = index, top_k
        self._retriever: Retriever | None = None

    def warm_up(self) -> None:
        self._retriever = self._retriever or open_retriever(self.index)

    @component.output_types(documents=list[Document])
    def run(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        self.warm_up()
        found = search(self._retriever, query, top_k or self.top_k)
        pages = self._retriever.pages
        return {
            "documents": [
                Document(id=hit.page_id, content=pages.text(hit.page_id), score=hit.score) for hit in found
            ]
        }

    def to_dict(self) -> dict[str, Any]:
        return default_to_dict(self, index=self.index, top_k=self.top_k)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DragRetriever:
        return default_from_dict(cls, data)


if __name__ == "__main__":
    pipeline = Pipeline()
    pipeline.add_component("pages", DragRetriever(sys.argv[1], top_k=3))
    for document in pipeline.run({"pages": {"query": sys.argv[2]}})["pages"]["documents"]:
        print(document.id, document.content[:60].replace("\n", " "))
