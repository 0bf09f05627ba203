"""Intake in memory: records in, batches and dead letters out, with no Kafka and no Redis."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any, cast

from agents.chunks import Chunk
from agents.context import Context
from agents.counters import Counters
from agents.intake import Intake
from agents.producers import Message
from agents.reading import SOURCES
from agents.settings import Settings
from stream.batches import Batch, decode_batch

PARTITIONS = 4


@dataclasses.dataclass(slots=True)
class Sent:
    """One record as Kafka would hand it over."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    key: bytes | None = None
    offset: int = 0
    timestamp: int = 1_772_442_900_000  # 2026-03-02T09:15:00Z


class Kept:
    """A producer whose messages stay here."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Take them."""
        self.messages += messages


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one chunk. acked: positions that were acknowledged."""

    batches: list[Batch]
    letters: list[Message]
    acked: list[int]
    counters: Counters

    @property
    def rows(self) -> list[int]:
        """Source offsets of all rows and control events, in order."""
        blocks = [int(o) for batch in self.batches for block in batch.blocks for o in block.offsets]
        return sorted({*blocks, *(row[0] for batch in self.batches for row in batch.control)})

    @property
    def reasons(self) -> dict[int, str]:
        """Reason by source offset of every dead letter."""
        told = [dict(letter.headers) for letter in self.letters]
        return {int(t["driftline-offset"]): t["driftline-reason"].decode() for t in told}


def taken_in(
    topic: str, values: Sequence[Sent | bytes | None], told: Settings | None = None
) -> Outcome:
    """One chunk of a source topic through the real Intake, offsets from 0. told: its settings."""
    sent = [value if isinstance(value, Sent) else Sent(value) for value in values]
    records = [dataclasses.replace(one, offset=offset) for offset, one in enumerate(sent)]
    settings, kept, acked = told or Settings(), Kept(), list[int]()
    counters = Counters()
    counts = {settings.topics.name(name): PARTITIONS for name in (*SOURCES, "events")}
    producer, nothing = cast(Any, kept), cast(Any, None)
    context = Context(settings, nothing, producer, counters, counts, {})
    context.ack = lambda _, position: acked.append(position)
    chunk = Chunk(settings.topics.name(topic), 0, records, 0, len(records))
    asyncio.run(Intake(context).handle(chunk))
    events = settings.topics.name("events")
    batches = [decode_batch(m.value or b"") for m in kept.messages if m.topic == events]
    letters = [m for m in kept.messages if m.topic != events]
    return Outcome(batches, letters, acked, counters)
