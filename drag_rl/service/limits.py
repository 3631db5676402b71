"""What one request may ask for, and how many may ask at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the service; what is beyond them is refused in one line, never cut in silence."""

    body_bytes: int = 4 << 20
    """Of a request's body."""
    queries: int = 4096
    """Of one request. Search-R1's trainer sends those of a whole batch of rollouts at once."""
    top_k: int = 1000
    """Hits of one query."""
    hits: int = 50_000
    """Queries times top_k of one request."""
    page_ids: int = 100_000
    """Tracked and left-out pages of one request, over all of its queries."""
    concurrency: int = 512
    """Requests at once; further ones are told to come again (503)."""
    timeout_s: float = 60.0
    """From the first byte of a request to its answer."""
