"""Counters: the service's own numbers, for Prometheus. A "metric" is model quality here."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROWS = "driftline_rows_total"
JOINED = ("predictions", "outcomes", "outcomes-taken-back", "predictions-sampled-out")


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
        self.given_up = self._gauge(
            "given_up_records",
            "records that Kafka dropped before they were read, given up by `driftline repair`",
            "topic",
        )
        self.checkpoints = self._counter("checkpoints", "checkpoints committed", "stage")
        self.refusals = self._counter("refusals", "writes that Redis refused", "stage", "kind")
        self.rollbacks = self._counter(
            "rollbacks", "partitions found to be older in Redis than they had been", "stage"
        )
        self.void = self._counter(
            "void_signals",
            "messages to the watch that were passed over: of checkpoints that Redis has lost, and "
            "that were made again",
        )
        self.outages = self._counter("outages", "calls that had to wait for Redis", "stage")
        self.kafka_outages = self._counter(
            "kafka_outages", "deliveries to Kafka that failed and were tried again"
        )
        self.rows = self._counter("rows", "rows by what became of them", "outcome")
        self.join_coverage = self._gauge(
            "join_coverage",
            "predictions whose truth is known, as a share of those that wait for it or have met "
            "it, since the start; can be more than 1 after a restart",
        )
        self.partitions = self._gauge("partitions", "partitions owned", "stage")
        self.lag = self._gauge(
            "lag_records", "records not done yet, of our partitions", "topic", "partition"
        )
        self.watermark_delay = self._gauge(
            "watermark_delay_seconds",
            "from the low watermark to now, of the model version that is furthest behind",
            "kind",
        )
        self.cohorts = self._gauge(
            "cohorts",
            "cohorts of predictions that are remembered, by whether more truth is waited for: "
            "complete or provisional",
            "state",
        )
        self.cohort_predictions = self._gauge(
            "cohort_predictions",
            "predictions in those cohorts, by whether their truth has come: labelled or unlabelled",
            "truth",
        )
        self.label_coverage = self._gauge(
            "label_coverage",
            "share of predictions whose truth has come by an age (1h to 365d), by Kaplan and "
            "Meier, of all model versions that are watched so long",
            "age",
        )
        self.label_delay = self._gauge(
            "label_delay_seconds",
            "by which age of predictions the truth of that share of them (0.5 or 0.9) has come, of "
            "the model version where it takes longest, as far as it is known",
            "share",
        )
        self.alerts = self._gauge("alerts", "causes by the state of their alert", "state")
        self.outbox = self._gauge(
            "outbox_messages", "messages that are durable and not published yet", "stage"
        )
        self.checkpoint_age = self._gauge(
            "checkpoint_age_seconds", "how long the oldest unsaved work has waited", "stage"
        )
        self.checkpoint_bytes = Histogram(
            "driftline_checkpoint_bytes",
            "size of a checkpoint's changes",
            ["stage"],
            registry=self.registry,
            buckets=[4.0**i for i in range(4, 15)],  # 256 B to 256 MiB
        )
        self.checkpoint_seconds = Histogram(
            "driftline_checkpoint_seconds",
            "time of a checkpoint",
            ["stage"],
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "driftline_loop_lag_seconds",
            "how late the event loop turned, by looks 20 ms apart",
            registry=self.registry,
            buckets=[0.001, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10],
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"driftline_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"driftline_{name}", about, labels, registry=self.registry)

    def cover(self) -> None:
        """Bring the join coverage up to date."""
        found = [self.registry.get_sample_value(ROWS, {"outcome": x}) or 0.0 for x in JOINED]
        joined = found[0] - found[3]
        if joined:
            self.join_coverage.set((found[1] - found[2]) / joined)
