"""Records of a topic from its first to its last, a bounded number of them in memory."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, cast

import confluent_kafka as ck

ADMIN_S = 15.0
AT_ONCE = 2_000
At = tuple[str, int]  # a topic's full name and the number of a partition


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record as it lies in Kafka."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@contextlib.contextmanager
def reading(bootstrap: str) -> Iterator[ck.Consumer]:
    """A consumer that takes part in no group."""
    told = {"bootstrap.servers": bootstrap, "group.id": "looks-only", "log_level": 2}
    consumer = ck.Consumer(told | {"enable.auto.commit": False, "fetch.wait.max.ms": 20})
    try:
        yield consumer
    finally:
        consumer.close()


def ends(consumer: ck.Consumer, topics: Sequence[str]) -> dict[At, int]:
    """The next offset to be written of every partition of some topics."""
    found: dict[At, int] = {}
    for topic in topics:
        known = consumer.list_topics(topic, timeout=ADMIN_S).topics[topic].partitions
        for number in sorted(known):
            at = ck.TopicPartition(topic, number)
            found[topic, number] = consumer.get_watermark_offsets(at, timeout=ADMIN_S)[1]
    return found


def chunks(bootstrap: str, topics: Sequence[str], size: int = AT_ONCE) -> Iterator[list[Record]]:
    """All there is by now: chunks of one partition each, the partitions in turn."""
    with reading(bootstrap) as consumer:
        until = ends(consumer, topics)
        reached = dict.fromkeys(until, 0)
        while left := [at for at in until if reached[at] < until[at]]:
            for at in left:
                most = min(size, until[at] - reached[at])
                yield (found := _chunk(consumer, at, reached[at], most))
                reached[at] = found[-1].offset + 1


def records(bootstrap: str, *topics: str) -> Iterator[Record]:
    """The same one by one."""
    for chunk in chunks(bootstrap, topics):
        yield from chunk


def _chunk(consumer: ck.Consumer, at: At, first: int, size: int) -> list[Record]:
    consumer.assign([ck.TopicPartition(*at, first)])
    found: list[Record] = []
    while len(found) < size:
        messages = consumer.consume(size - len(found), ADMIN_S)
        assert messages, f"{at} ends at {first + len(found)}, not at {first + size}"
        found += [_record(message) for message in messages]
    return found


def _record(m: ck.Message) -> Record:
    assert m.error() is None, m.error()
    headers: Any = m.headers() or []
    place = cast(str, m.topic()), cast(int, m.partition()), cast(int, m.offset())
    return Record(*place, m.timestamp()[1], m.key(), m.value(), headers)
