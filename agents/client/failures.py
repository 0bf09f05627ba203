"""Failures: what was not delivered, and how a caller learns of it."""

import dataclasses


class Full(Exception):
    """More is waiting for Kafka than may wait, and `when_full` says to raise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One message that Kafka did not take. rows: how many predictions or truths it held."""

    topic: str
    key: bytes | None
    value: bytes
    rows: int
    error: str


class NotDelivered(Exception):
    """failures: those since the last flush, the newest 1,000; count: how many there were.

    waiting: messages of which nothing was heard in time.
    """

    def __init__(self, failures: list[Failure], count: int, waiting: int) -> None:
        parts = [f"{count} messages were not delivered"] if count else []
        parts += [f"{waiting} are still waiting for Kafka"] if waiting else []
        last = f"; the last: {failures[-1].error}" if failures else ""
        super().__init__(" and ".join(parts) + last)
        self.failures, self.count, self.waiting = failures, count, waiting
