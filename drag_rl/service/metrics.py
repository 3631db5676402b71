"""What the service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from drag_rl.service.live_index import LiveIndex

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Metrics:
    """Counts of one service; several in one process do not mix."""

    def __init__(self, index: LiveIndex) -> None:
        self._registry = CollectorRegistry()
        own = self._registry
        self._requests = Counter("drag_requests", "Answered requests to /retrieve.", ["status"], registry=own)
        self._seconds = Histogram(
            "drag_request_seconds", "From request to answer.", buckets=SECONDS, registry=own
        )
        self._queries = Counter("drag_queries", "Queries that were searched.", registry=own)
        self._batch = Histogram(
            "drag_batch_queries", "Queries searched together.", buckets=BATCH_SIZES, registry=own
        )
        self.in_flight = Gauge(
            "drag_requests_in_flight", "Requests that wait for their answer.", registry=own
        )
        pages = Gauge("drag_index_pages", "Pages of the index.", registry=own)
        pages.set_function(lambda: len(index.now.retriever.pages))
        swaps = Gauge("drag_index_swaps", "How often a new index took over.", registry=own)
        swaps.set_function(lambda: index.swaps)

    def answered(self, status: int, seconds: float) -> None:
        """Count one request to /retrieve."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def searched(self, queries: int) -> None:
        """Count one batch."""
        self._queries.inc(queries)
        self._batch.observe(queries)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
