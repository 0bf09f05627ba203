"""Kafka as lists: partitions of topics, and a producer whose answers may be lost."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

from agents.chunks import TP
from agents.producers import Message


class Lost(ConnectionError):
    """The request arrived, and its answer did not; or neither."""


@dataclasses.dataclass(slots=True)
class Posted:
    """A record as it comes from Kafka."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


class Logs:
    """The records of every partition, for ever."""

    def __init__(self) -> None:
        self.partitions: defaultdict[TP, list[Posted]] = defaultdict(list)

    def post(self, tp: TP, value: bytes | None, key: bytes | None = None, at_ms: int = 0) -> Posted:
        """Append a record."""
        log = self.partitions[tp]
        log.append(Posted(len(log), value, key, at_ms))
        return log[-1]

    def read(self, tp: TP, first: int, count: int) -> Sequence[Posted]:
        """Some records from an offset on."""
        return self.partitions[tp][first : first + count]

    def values(self, topic: str) -> list[bytes]:
        """What lies in all partitions of a topic."""
        found = (log for tp, log in sorted(self.partitions.items()) if tp.topic == topic)
        return [record.value or b"" for log in found for record in log]


class Poster:
    """A producer into `Logs`. step: told "before post" and "after post" of every message.

    Where it raises `Lost`, no report of the call has come, and all of it is sent again: as after a
    broken connection.
    """

    def __init__(self, logs: Logs, step: Callable[[str], None]) -> None:
        self.logs, self.step = logs, step

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Append all, in order."""
        while True:
            try:
                return self._send(messages)
            except Lost:
                continue

    def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.step("before post")
            tp = TP(message.topic, message.partition or 0)
            self.logs.post(tp, message.value, message.key).headers = message.headers
            self.step("after post")
