"""A group that has read everything as soon as it is there, in the place of a worker."""

import contextlib
import threading
from collections.abc import Sequence
from typing import Any, Self

import confluent_kafka as ck

ADMIN_S = 15.0
_QUIET: dict[str, Any] = {"enable.auto.commit": False, "log_level": 2}


def client(bootstrap: str, group: str) -> ck.Consumer:
    """A consumer that never joins its group."""
    return ck.Consumer({"bootstrap.servers": bootstrap, "group.id": group, **_QUIET})


def partitions(consumer: ck.Consumer, topics: Sequence[str]) -> list[ck.TopicPartition]:
    """All of some topics; those that are not there have none."""
    return [
        ck.TopicPartition(topic, number)
        for topic in topics
        for number in sorted(consumer.list_topics(topic, timeout=ADMIN_S).topics[topic].partitions)
    ]


def read_all(bootstrap: str, group: str, topics: Sequence[str]) -> None:
    """Commit the end of every partition."""
    consumer = client(bootstrap, group)
    try:
        _commit(consumer, topics)
    finally:
        consumer.close()


def _commit(consumer: ck.Consumer, topics: Sequence[str]) -> None:
    ends = []
    for at in partitions(consumer, topics):
        _, end = consumer.get_watermark_offsets(at, timeout=ADMIN_S)
        ends.append(ck.TopicPartition(at.topic, at.partition, end))
    if ends:
        consumer.commit(offsets=ends, asynchronous=False)


def records(bootstrap: str, topic: str) -> list[ck.Message]:
    """All there is of a topic."""
    consumer = client(bootstrap, f"{topic}-records")
    try:
        at = partitions(consumer, [topic])
        ends = [consumer.get_watermark_offsets(one, timeout=ADMIN_S) for one in at]
        consumer.assign([ck.TopicPartition(one.topic, one.partition, 0) for one in at])
        wanted = sum(end - first for first, end in ends)
        found: list[ck.Message] = []
        while len(found) < wanted:
            message = consumer.poll(ADMIN_S)
            assert message is not None
            assert message.error() is None
            found.append(message)
        return found
    finally:
        consumer.close()


class Reader:
    """Commits all that comes, until left."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str]) -> None:
        self._client, self._topics = client(bootstrap, group), topics
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._end.wait(0.05):
            with contextlib.suppress(ck.KafkaException):  # a coordinator is still being chosen
                _commit(self._client, self._topics)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._client.close()
