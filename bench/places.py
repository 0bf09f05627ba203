"""Places: the Kafka and the Redis of a run, and what is produced to them."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic

from agents.embedded import EmbeddedRedis
from tests.brokers import Unavailable
from tests.servers import Kafka, choose_kafka, redis_binary

FLUSH_S = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Servers that answer: a real Kafka, and a Redis that is a child of this process."""

    kafka: Kafka
    redis: EmbeddedRedis

    def has(self, topic: str) -> bool:
        """Whether there is such a topic."""
        producer = ck.Producer({"bootstrap.servers": self.kafka.bootstrap, "log_level": 2})
        return topic in producer.list_topics(timeout=10).topics

    def make(self, topic: str, partitions: int) -> None:
        """Make a topic; the broker makes none by itself."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap, "log_level": 2})
        for made in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            made.result(10)

    def produce(self, topic: str, values: Sequence[bytes], partitions: int = 1) -> None:
        """Values in order, dealt out to the partitions in runs; returns when Kafka has them.

        Compressed with lz4, in batches as a busy producer makes them.
        """
        producer = ck.Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap,
                "linger.ms": 20,
                "batch.size": 500_000,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 1_000_000,
                "message.max.bytes": 8_000_000,
            }
        )
        failed: list[str] = []

        def report(error: ck.KafkaError | None, _: ck.Message) -> None:
            if error is not None:
                failed.append(error.str())

        for i, value in enumerate(values):
            partition = i // 100 % partitions
            while True:
                try:
                    producer.produce(topic, value, partition=partition, on_delivery=report)
                    break
                except BufferError:
                    producer.poll(0.05)
            producer.poll(0)
        left = producer.flush(FLUSH_S)
        if left or failed:
            why = failed[0] if failed else f"not within {FLUSH_S:.0f} s"
            raise RuntimeError(f"Kafka did not take all records of {topic}: {why}")


@contextlib.contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Start both; Kafka keeps its records in a folder below. Raises Unavailable without a Kafka."""
    binary = redis_binary()
    with (
        choose_kafka(folder / "kafka") as kafka,
        EmbeddedRedis(binary, **{"hash_max_listpack_entries": "512"}) as redis,
    ):
        if not kafka.is_real:
            raise Unavailable(f"a benchmark needs a real Kafka: {kafka.note}")
        yield Place(kafka, redis)
