"""Our own server: an index behind HTTP, in the protocol of Search-R1's retrieval server."""
