"""The pipeline in memory: the same ledgers and watch as in production, without Kafka and Redis.

It plays the part of the shell: rows in, events out, and every checkpoint's changes are applied to
plain dictionaries from which `restart` takes everything up again, as a crashed worker would. The
same input gives the same events here and there, for any number of partitions and any chunks.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from stream.batches import Batch, Block, Row, batches_of, decode_batch, encode_batch
from stream.changes import Changes, OutMessage
from stream.ledger import Ledger
from stream.leisure import ALWAYS
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
    """Feed it with `rows` and `control`; `checkpoint` returns what came out.

    settings: how a model is watched, by its name. partitions: of the internal log.
    source_partitions: of the topics that rows come from. published: all that ever came out.

    Offsets of a (topic, partition) rise, as in Kafka: rows at or below one that was applied are
    passed over. What is not checkpointed is lost by `restart`, and may be fed again.
    """

    def __init__(self, settings: Settings, partitions: int = 1, source_partitions: int = 1) -> None:
        self.settings, self.partitions = settings, partitions
        self.source_partitions = source_partitions
        self.stored = [State() for _ in range(partitions)]
        self.watched = State()
        self.references: dict[str, Reference] = {}
        self.published: list[OutMessage] = []
        self.leisure = ALWAYS
        self._controls = 0
        self.ledgers = [Ledger(p, partitions, settings) for p in range(partitions)]
        self.watch = Watch(settings)

    def rows(self, topic: str, partition: int, rows: Sequence[Row], record_ms: int) -> None:
        """A chunk of decoded records of one source partition, as intake forwards it.

        rows: (offset, record time in ms, event) or blocks. record_ms: the newest.
        """
        if not rows:
            return
        spans = [_span(row) for row in rows]
        covered = (min(first for first, _ in spans), max(last for _, last in spans))
        split = batches_of(
            topic, "", partition, rows, (), self.partitions, MAX_BATCH_BYTES, covered=covered
        )
        empty = Batch(topic, partition, "", *covered, record_ms, [])
        told = told_to_all(split, empty, marks_of(rows), self.partitions, self.source_partitions)
        for number, batches in told.items():
            for batch in batches:
                self.batch(number, decode_batch(encode_batch(batch)))

    def batch(self, number: int, batch: Batch) -> None:
        """One batch of a partition of the internal log."""
        ledger, pending = self.ledgers[number], self.stored[number].pending
        wanted = ledger.wanted(batch).tolist()
        ledger.apply(batch, {key: pending[key] for key in wanted if key in pending})

    def control(self, event: Mapping[str, Any], record_ms: int = -1) -> None:
        """A control event, as intake broadcasts it."""
        self._control(msgspec.json.encode(event), record_ms)

    def _control(self, raw: bytes, record_ms: int = -1) -> None:
        offset, self._controls = self._controls, self._controls + 1
        rows = [(offset, record_ms, raw)]
        for number in range(self.partitions):
            self.batch(number, Batch("control", 0, "", offset, offset, record_ms, [], rows))

    def checkpoint(self) -> list[OutMessage]:
        """Make everything durable, and do what has become due: what was published, in order.

        What the watch says to the ledgers is durable too when this returns.
        """
        found: list[OutMessage] = []
        again = True
        while again:
            self._save_ledgers()
            self._advance()
            changes = self.watch.changes()
            self._save(self.watched, changes)
            told = [message for message in changes.outbox if message.topic == "control"]
            for message in told:
                self._control(message.value)
            found += changes.outbox
            again = bool(told)
        self.published += found
        return found

    def _save_ledgers(self) -> None:
        for ledger, state in zip(self.ledgers, self.stored, strict=True):
            changes = ledger.changes()
            self._save(state, changes)
            for message in changes.outbox:
                if message.topic == "signals":
                    self.watch.receive(message.value)
                else:
                    self.published.append(message)

    def _save(self, state: State, changes: Changes) -> None:
        for ref, raw in changes.references.items():
            self.references[ref] = Reference.from_bytes(raw)
        state.apply(changes)

    def _advance(self) -> None:
        while self._turn():
            pass

    def _turn(self) -> bool:
        wanted = self.watch.wanted_references()
        self.watch.supply_references({ref: self.references[ref] for ref in wanted})
        for key, names in self.watch.wanted().items():
            fields = {n: self.stored[n.partition].fields.get(n.field(key)) for n in names}
            self.watch.supply(key, fields)
        return self.watch.advance(self.leisure)

    def restart(self) -> None:
        """Forget all memory and take up what was checkpointed, as after a crash."""
        self.ledgers = [Ledger(p, self.partitions, self.settings) for p in range(self.partitions)]
        for ledger, state in zip(self.ledgers, self.stored, strict=True):
            ledger.restore(state.fields, self.references)
        self.watch = Watch(self.settings)
        self.watch.restore(self.watched.fields)


def _span(row: Row) -> tuple[int, int]:
    """The first and the last source offset."""
    if isinstance(row, Block):
        return int(row.offsets.min()), int(row.offsets.max())
    return row[0], row[0]
