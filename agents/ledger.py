"""The ledger agent: partitions of the internal log, through the core's `Ledger`."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from agents.beside import Spells
from agents.chunks import Record
from agents.context import Context
from agents.letters import letter
from agents.store import Damaged, Partition
from agents.store.envelopes import ADVICE
from stream.batches import Batch, decode_batch
from stream.batches.packing import MAGIC
from stream.changes import Changes, OutMessage
from stream.entries import DamagedEntry
from stream.envelopes import Newer
from stream.ledger import Ledger

log = logging.getLogger(__name__)
OWN_FIELDS = "[lbo]*"  # ledger..., book..., open-...; the sealed shares stay in Redis
OURS = MAGIC[:3]  # of any version
TOGETHER_BYTES = 2 * 2**20  # of batches that are in memory at once
SLICE = 500  # pending entries that one look of housekeeping sees
ROUNDS = 180  # in so many rounds all entries are seen, half an hour: they expire as they came
LOOKS = 100  # most of them in one round


def looks_of(pending: int) -> int:
    """How many looks a round of housekeeping takes."""
    return min(LOOKS, 1 + pending // (SLICE * ROUNDS))


class LedgerCore:
    """One partition's ledger, fed from Kafka, with its pending entries in Redis."""

    def __init__(self, context: Context, number: int) -> None:
        self.context, self.number = context, number
        self.topic = context.topic("events")
        self.ledger = self._ledger()
        self.letters: list[OutMessage] = []
        self.cursor = 0
        self.full = False

    def _ledger(self) -> Ledger:
        limits, partitions = self.context.settings.limits, self.context.partitions[self.topic]
        return Ledger(
            self.number, partitions, self.context.model, limits.decoding(), limits.max_models
        )

    async def restore(self, partition: Partition) -> None:
        """Take up the state in Redis."""
        fields = await partition.load(OWN_FIELDS)
        ids = Ledger.references_in(fields)
        references = {ref: await self.context.reference(ref) for ref in ids}
        self.ledger, self.letters, self.cursor = self._ledger(), [], 0
        await asyncio.to_thread(self.ledger.restore, fields, references)

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        """Take in batches. What is no batch becomes a dead letter."""
        together: list[Batch] = []
        size = 0
        for record in records:
            batch = self._batch(record)
            if batch is not None:
                together.append(batch)
                size += len(record.value or b"")
            if size >= TOGETHER_BYTES:
                await self._apply(partition, together)
                together, size = [], 0
        await self._apply(partition, together)

    def _batch(self, record: Record) -> Batch | None:
        try:
            return decode_batch(record.value or b"")
        except Newer:
            raise
        except ValueError as error:
            self._check_foreign(record, error)
            log.error("%s/%d offset %d: %s", self.topic, self.number, record.offset, error)
            where = (self.topic, self.number)
            self.letters.append(letter(record, where, "not-a-batch", str(error)))
            return None

    async def _apply(self, partition: Partition, batches: Sequence[Batch]) -> None:
        """Ask Redis once for what they touch; what an earlier one changes, a later one finds in
        memory.
        """
        if not batches:
            return
        wanted = np.concatenate([self.ledger.wanted(batch) for batch in batches])
        asks = self.ledger.unfetched
        found = await self.context.wait("ledger", lambda: partition.pending(wanted, asks))
        spells = Spells()
        for batch in batches:
            with _sound(partition):
                if self.ledger.heavy(batch):
                    await self.context.beside.brief(partial(self.ledger.apply, batch, found))
                else:
                    self.ledger.apply(batch, found)
            await spells.rest()

    def _check_foreign(self, record: Record, error: ValueError) -> None:
        """Somebody else's bytes are no loss. Raises Damaged where they begin as intake's do."""
        if (record.value or b"").startswith(OURS):
            raise Damaged(
                f"{self.topic}/{self.number} offset {record.offset}: {error}. It begins as a batch "
                "of intake does, so rows may be missing. Stop all workers and run: "
                "driftline repair events --again"
            ) from error

    def due(self) -> bool:
        """Nothing: all that there is to do, records bring."""
        return False

    def urgent(self) -> bool:
        """Never: what the watch is told can wait for the next checkpoint."""
        return False

    async def work(self) -> None:
        """Nothing."""

    async def housekeeping(self, partition: Partition) -> bool:
        """Look at the next slices of pending entries; the next checkpoint removes what has expired.

        Whether there were any.

        To be called with the partition's lock held, as for `apply`.
        """
        looks = looks_of(self.ledger.matches.pending)
        return any([await self._look(partition) for _ in range(looks)])

    async def _look(self, partition: Partition) -> bool:
        cursor = self.cursor
        self.cursor, entries = await self.context.wait(
            "ledger", lambda: partition.scan_pending(cursor, SLICE)
        )
        with _sound(partition):
            self.ledger.expire(entries)
        return bool(entries)

    async def confirm(self) -> None:
        """Nothing: what a ledger knows, it knows from its own log."""

    def changes(self) -> Changes:
        """What is to be made durable."""
        found = self.ledger.changes()
        found.outbox += self.letters
        self.letters = []
        self._count()
        return found

    def _count(self) -> None:
        counted = self.ledger.counted()
        for outcome, rows in counted.items():
            self.context.counters.rows.labels(outcome).inc(rows)
        if "too-many-models" in counted and not self.full:
            self.full = True
            log.error(
                "%s/%d: more than limits.max_models = %d model versions; rows of others are not "
                "counted",
                self.topic,
                self.number,
                self.ledger.max_models,
            )


@contextlib.contextmanager
def _sound(partition: Partition) -> Iterator[None]:
    """What is pending comes from Redis: where it is damaged, Damaged says so."""
    try:
        yield
    except DamagedEntry as error:
        raise Damaged(f"{partition.name}: {error}. {ADVICE}") from error
