"""The pipeline in memory: the same ledgers and watch as in production, without Kafka and Redis.

It plays the part of the shell: rows in, events out, and every checkpoint's changes are applied to
plain dictionaries from which `restart` takes everything up again, as a crashed worker would.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stream.batches import Batch, Block, Row, batches_of, decode_batch, encode_batch
from stream.changes import Changes, OutMessage
from stream.ledger import Ledger
from stream.marks import marks_of, told_to_all
from stream.references import Reference
from stream.settings import ModelSettings
from stream.watch import Watch

Settings = Callable[[str], ModelSettings]
MAX_BATCH_BYTES = 900_000


@dataclasses.dataclass(slots=True)
class State:
    """What Redis holds of one partition."""

    fields: dict[str, bytes] = dataclasses.field(default_factory=dict)
    pending: dict[int, bytes] = dataclasses.field(default_factory=dict)

    def apply(self, changes: Changes) -> None:
        """Make changes durable."""
        self.fields |= changes.puts
        for field in changes.deletes:
            self.fields.pop(field, None)
        self.pending |= changes.pending_puts
        for key in changes.pending_deletes:
            self.pending.pop(key, None)


class Pipeline:
    """Feed it with `predictions`, `truths` and `control`; `checkpoint` returns what came out.

    partitions: of the internal log. source_partitions: of the source topics.
    """

    def __init__(
        self, settings: Settings, partitions: int = 1, source_partitions: int = 1
    ) -> None:
        self.settings, self.partitions = settings, partitions
        self.source_partitions = source_partitions
        self.ledgers = [Ledger(p, partitions, settings) for p in range(partitions)]
        self.watch = Watch(settings)
        self.stored = [State() for _ in range(partitions)]
        self.watched = State()
        self.references: dict[str, Reference] = {}
        self.published: list[OutMessage] = []
        self._controls = 0

    def rows(self, topic: str, partition: int, rows: Sequence[Row], record_ms: int) -> None:
        """A chunk of decoded records of one source partition, as intake forwards it."""
        offsets = [int(r.offsets[0]) if isinstance(r, Block) else r[0] for r in rows]
        covered = (min(offsets), max(offsets))
        split = batches_of(
            topic, "", partition, rows, (), self.partitions, MAX_BATCH_BYTES, covered=covered
        )
        empty = Batch(topic, partition, "", *covered, record_ms, [])
        told = told_to_all(split, empty, marks_of(rows), self.partitions, self.source_partitions)
        for number, batches in told.items():
            for batch in batches:
                self.batch(number, decode_batch(encode_batch(batch)))

    def batch(self, number: int, batch: Batch) -> None:
        """One batch of the internal log."""
        ledger, state = self.ledgers[number], self.stored[number]
        wanted = ledger.wanted(batch).tolist()
        ledger.apply(batch, {key: state.pending[key] for key in wanted if key in state.pending})

    def control(self, event: dict[str, Any], record_ms: int = -1) -> None:
        """A control event, as intake broadcasts it."""
        raw = msgspec.json.encode(event)
        offset, self._controls = self._controls, self._controls + 1
        rows = [(offset, record_ms, raw)]
        for number in range(self.partitions):
            self.batch(number, Batch("control", 0, "", offset, offset, record_ms, [], rows))

    def checkpoint(self) -> list[OutMessage]:
        """Checkpoint every partition; what was published by it, in order."""
        for ledger, state in zip(self.ledgers, self.stored, strict=True):
            changes = ledger.changes()
            for ref, raw in changes.references.items():
                self.references[ref] = Reference.from_bytes(raw)
            state.apply(changes)
            for message in changes.outbox:
                self.watch.receive(message.value)
        more = True
        while more:
            self._supply()
            more = self.watch.advance()
        changes = self.watch.changes()
        self.watched.apply(changes)
        for message in changes.outbox:
            if message.topic == "control":
                self.control(msgspec.json.decode(message.value))
        self.published += changes.outbox
        return changes.outbox

    def _supply(self) -> None:
        self.watch.supply_references(
            {ref: self.references[ref] for ref in self.watch.wanted_references()}
        )
        for key, names in self.watch.wanted().items():
            shares = {name: self.stored[name.partition].fields[name.field(key)] for name in names}
            self.watch.supply(key, shares)

    def restart(self) -> None:
        """Forget all memory and take up what was checkpointed, as after a crash."""
        self.ledgers = [Ledger(p, self.partitions, self.settings) for p in range(self.partitions)]
        for ledger, state in zip(self.ledgers, self.stored, strict=True):
            ledger.restore(state.fields, self.references)
        self.watch = Watch(self.settings)
        self.watch.restore(self.watched.fields)

