"""The ledger agent: partitions of the internal log, through the core's `Ledger`."""

import logging
from collections.abc import Sequence

from agents.chunks import Record
from agents.context import Context
from agents.letters import letter
from agents.store import Partition
from stream.batches import decode_batch
from stream.changes import Changes, OutMessage
from stream.ledger import Ledger

log = logging.getLogger(__name__)
OWN_FIELDS = "[lbo]*"  # ledger, book/..., open-...; the sealed shares stay in Redis


class LedgerCore:
    """One partition's ledger, fed from Kafka, with its pending entries in Redis."""

    def __init__(self, context: Context, number: int) -> None:
        self.context, self.number = context, number
        self.topic = context.topic("events")
        limits = context.settings.limits.decoding()
        partitions = context.partitions[self.topic]
        self.ledger = Ledger(number, partitions, context.model, limits)
        self.letters: list[OutMessage] = []

    async def restore(self, partition: Partition) -> None:
        """Take up the state in Redis."""
        fields = await partition.load(OWN_FIELDS)
        ids = Ledger.references_in(fields)
        references = {ref: await self.context.reference(ref) for ref in ids}
        limits = self.ledger.limits
        self.ledger = Ledger(self.number, self.ledger.partitions, self.context.model, limits)
        self.ledger.restore(fields, references)

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        """Take in batches. What is no batch becomes a dead letter."""
        for record in records:
            try:
                batch = decode_batch(record.value or b"")
            except ValueError as error:
                log.error("%s/%d offset %d: %s", self.topic, self.number, record.offset, error)
                where = (self.topic, self.number)
                self.letters.append(letter(record, where, "not-a-batch", str(error)))
                continue
            wanted = self.ledger.wanted(batch)
            found = await self.context.pending(partition, wanted) if len(wanted) else {}
            self.ledger.apply(batch, found)

    def changes(self) -> Changes:
        """What is to be made durable."""
        found = self.ledger.changes()
        found.outbox += self.letters
        self.letters = []
        return found
