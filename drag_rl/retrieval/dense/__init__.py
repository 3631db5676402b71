"""Retrieval by the vectors of an embedding model."""
