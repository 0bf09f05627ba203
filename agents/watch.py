"""The watch agent: partitions of the signals, through the core's `Watch`."""

import asyncio
import functools
import logging
from collections.abc import Sequence

from agents import origins
from agents.chunks import TP, Record
from agents.context import Context
from agents.letters import letter
from agents.origins import Origins
from agents.store import Partition, stamp_of
from stream.changes import Changes, OutMessage
from stream.envelopes import Newer
from stream.signals import ShareName
from stream.watch import Watch

log = logging.getLogger(__name__)
SHARES_AT_ONCE = 500


class WatchCore:
    """One partition's watch, with the sealed shares it asks for read from Redis."""

    def __init__(self, context: Context, number: int) -> None:
        self.context, self.number = context, number
        self.topic = context.topic("signals")
        self.tp = TP(self.topic, number)
        self.watch = Watch(context.model)
        self.origins = Origins(context)
        self.letters: list[OutMessage] = []

    async def restore(self, partition: Partition) -> None:
        """Take up the state in Redis."""
        fields = await partition.load()
        bases = origins.bases_of(fields.pop(origins.FIELD, None))
        await origins.check(self.context, f"{self.topic}/{self.number}", bases)
        self.watch, self.origins = Watch(self.context.model), Origins(self.context, bases)
        await asyncio.to_thread(self.watch.restore, fields)

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        """Take in signals. What is no message becomes a dead letter."""
        del partition  # what is needed lies with the ledgers' partitions
        for record in await self._sifted(records):
            try:
                self.watch.receive(record.value or b"")
            except Newer:
                raise
            except ValueError as error:
                self._refuse(record, error)

    async def _sifted(self, records: Sequence[Record]) -> list[Record]:
        """Those of ledgers' checkpoints that Redis has."""
        readable, stamps = [], []
        for record in records:
            try:
                stamps.append(stamp_of(record.headers))
                readable.append(record)
            except ValueError as error:
                self._refuse(record, error)
        stands = await self.origins.sift(stamps)
        void = [r.offset for r, stood in zip(readable, stands, strict=True) if not stood]
        if void:
            log.warning(
                "%s/%d: passed over %d messages from offset %d to %d: they are of checkpoints of "
                "the ledger that Redis has lost, and are made again",
                *(self.topic, self.number, len(void), void[0], void[-1]),
            )
        return [record for record, stood in zip(readable, stands, strict=True) if stood]

    def _refuse(self, record: Record, error: ValueError) -> None:
        log.error("%s/%d offset %d: %s", self.topic, self.number, record.offset, error)
        where = (self.topic, self.number)
        self.letters.append(letter(record, where, "not-a-signal", str(error)))

    def due(self) -> bool:
        """Whether a model may have something to be done."""
        return bool(self.watch.stirred)

    def urgent(self) -> bool:
        """Whether there are alerts, or requests to retrain."""
        return self.watch.urgent()

    async def work(self) -> None:
        """Do some of what is due: windows to be evaluated, values for detectors."""
        await self._supply()
        beside = self.context.beside
        if self.watch.judges():
            await beside.unhurried(self.watch.advance, lambda: self.context.ours(self.tp))
        else:
            await beside.brief(self.watch.advance)

    async def _supply(self) -> None:
        beside, wanted = self.context.beside, self.watch.wanted_references()
        references = {ref: await self.context.reference(ref) for ref in wanted}
        self.watch.supply_references(references)
        for key, names in self.watch.wanted().items():
            for i in range(0, len(names), SHARES_AT_ONCE):
                found = await self._shares(key, names[i : i + SHARES_AT_ONCE])
                await beside.brief(functools.partial(self.watch.supply, key, found))

    async def _shares(self, key: str, names: Sequence[ShareName]) -> dict[ShareName, bytes | None]:
        """Shares by name, None for one that its ledger has let go: `panes_kept` is past."""
        numbers, fields = [n.partition for n in names], [n.field(key) for n in names]
        self.context.reach("before shares")
        values = await self.context.shares(numbers, fields)
        self.context.reach("after shares")
        found = dict(zip(names, values, strict=True))
        gone = [name for name, value in found.items() if value is None]
        if gone:
            await self.origins.doubt({f"ledger:{name.partition}" for name in gone})
        for name in gone:
            log.warning("%s of ledger %d is not kept any more", name.field(key), name.partition)
        return found

    async def housekeeping(self, partition: Partition) -> bool:
        """Nothing: the monitors forget by themselves as event time goes on."""
        del partition
        return False

    def changes(self) -> Changes:
        """What is to be made durable."""
        found = self.watch.changes()
        found.outbox += self.letters
        self.letters = []
        for field, value in self.origins.changes().items():
            found.put(field, value)
        return found

    async def confirm(self) -> None:
        """Raises Refused where what was taken in is not in Redis any more."""
        await self.origins.confirm()
