"""BM25 over the words of pages."""
