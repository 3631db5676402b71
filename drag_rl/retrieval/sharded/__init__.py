"""BM25 over shards: consecutive pages, searched by actors of a Ray cluster, ranked as one index ranks them."""
