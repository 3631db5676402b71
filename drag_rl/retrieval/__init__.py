"""Search over the pages of a corpus."""

from drag_rl.retrieval.sparse.index import SearchIndex, SearchResult

__all__ = ["SearchIndex", "SearchResult"]
