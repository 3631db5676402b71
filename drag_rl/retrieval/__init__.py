"""Search over the pages of a corpus: one seam, ``Retriever``, and the back ends behind it."""

from drag_rl.retrieval.base import Query, Ranking, Retriever, check_top_k
from drag_rl.retrieval.build import build_index
from drag_rl.retrieval.combine.combined_pages import CombinedPages
from drag_rl.retrieval.kinds import IndexKind
from drag_rl.retrieval.open import open_retriever
from drag_rl.retrieval.page_texts import PageTexts

__all__ = [
    "CombinedPages",
    "IndexKind",
    "PageTexts",
    "Query",
    "Ranking",
    "Retriever",
    "build_index",
    "check_top_k",
    "open_retriever",
]
