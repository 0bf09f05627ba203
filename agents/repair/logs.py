"""What lies in one partition of Kafka from a position on, read without being in the group."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import confluent_kafka as ck

from agents.repair.judgements import Log
from agents.security import kafka_config
from agents.settings import Kafka

READ = 1_000
READ_S = 10.0
ALONE = {"group.id": "driftline-repair", "enable.auto.commit": False, "auto.offset.reset": "error"}


class Found(NamedTuple):
    """One record."""

    value: bytes
    headers: Sequence[tuple[str, bytes | None]]


def read(kafka: Kafka, log: Log, start: int) -> Iterator[Found]:
    """All up to its end. Raises ConnectionError where nothing comes."""
    consumer = ck.Consumer(kafka_config(kafka) | ALONE)  # assigned, it never joins a group
    try:
        consumer.assign([ck.TopicPartition(log.topic, log.partition, start)])
        at = start
        while at < log.end:
            messages = consumer.consume(READ, READ_S)
            if not messages:
                raise ConnectionError(f"{log.where}: nothing comes from offset {at} on")
            for message in messages:
                if message.error() is not None:
                    raise ConnectionError(f"{log.where}: {message.error()}")
                at = (message.offset() or 0) + 1
                headers: Any = message.headers() or []
                yield Found(message.value() or b"", cast(Any, headers))
    finally:
        consumer.close()
