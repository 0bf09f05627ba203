"""Counters: the service's own numbers, for Prometheus. A "metric" is model quality here."""

import threading
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server


class Counters:
    """One registry for one worker; nothing is kept at import time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = self._counter(
            "events", "records taken in, by topic and outcome", "topic", "outcome"
        )
        self.dead_letters = self._counter(
            "dead_letters", "records that could not be used", "reason"
        )
        self.published = self._counter("published", "messages published", "topic")
        self.undeliverable = self._counter(
            "undeliverable", "messages left out because their topic refuses them", "topic"
        )
        self.missing = self._counter(
            "missing", "records that Kafka dropped before they were read", "topic"
        )
        self.checkpoints = self._counter("checkpoints", "checkpoints committed", "stage")
        self.refusals = self._counter("refusals", "writes that Redis refused", "stage", "kind")
        self.outages = self._counter("outages", "calls that had to wait for Redis", "stage")
        self.rows = self._counter("rows", "rows by what became of them", "outcome")
        self.partitions = Gauge(
            "driftline_partitions", "partitions owned", ["stage"], registry=self.registry
        )
        self.checkpoint_seconds = Histogram(
            "driftline_checkpoint_seconds",
            "time of a checkpoint",
            ["stage"],
            registry=self.registry,
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"driftline_{name}", about, labels, registry=self.registry)

    def serve(self, host: str, port: int) -> Any:
        """Answer GET /metrics on a thread of its own; a function that ends it."""
        server, thread = start_http_server(port, host, self.registry)

        def end() -> None:
            server.shutdown()
            server.server_close()
            if thread is not threading.current_thread():
                thread.join(5)

        return end
