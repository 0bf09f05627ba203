"""The intake agent: whatever producers send, as batches for the internal log.

It keeps no state: a chunk is decoded, produced and flushed, then acknowledged. What is sent twice
after a crash is dropped by the ledgers, which know the source offset of every row.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from agents.chunks import TP, Chunk, Record
from agents.context import Context
from agents.keepers import Unfit
from agents.letters import shortened, told
from agents.producers import DeliveryFailed, Message
from agents.reading import SOURCES, Reader, Taken
from stream.batches import Batch, Row, batches_of, encode_batch
from stream.batches.blocks import ControlRow
from stream.events import Rejected
from stream.marks import marks_of, told_to_all

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 700_000
LOOK_S = 5.0  # between two looks at which source partitions are idle


class Intake:
    """The source partitions of one worker. taken: the last offset taken in of each, -1 for none."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.reader = Reader(context.settings)
        self.names = {context.topic(name): name for name in SOURCES}
        self.taken: dict[TP, int] = {}
        self._quiet: dict[TP, tuple[int, int]] = {}  # offset, and when nothing was behind it (ms)

    async def handle(self, chunk: Chunk) -> None:
        """Decode a chunk, publish what came of it, acknowledge it. Raises keepers.Unfit."""
        taken = await self._read(chunk)
        letters = self._letters(chunk, taken.refused)
        batches = self._batches(chunk, taken.rows, taken.controls)
        await asyncio.sleep(0)
        self.context.reach("before forward")
        await self._publish(batches)
        self.context.reach("between forward and letters")
        await self._publish_letters(letters)
        self.context.reach("after forward")
        self.taken[chunk.tp] = chunk.records[-1].offset
        self._count(chunk, len(letters))
        self.context.ack(chunk.tp, chunk.next)
        self.context.reach("after receipt")

    async def _read(self, chunk: Chunk) -> Taken:
        """Control events may be large, and many: a reference has one for some features each."""
        read = partial(self.reader.read, self.names[chunk.topic], chunk.records)
        if self.names[chunk.topic] == "control":
            return await self.context.beside.brief(read)
        taken = read()
        await asyncio.sleep(0)  # each step takes as long as all others should have to wait
        return taken

    def _batches(
        self, chunk: Chunk, rows: Sequence[Row], controls: Sequence[ControlRow]
    ) -> dict[int, list[Batch]]:
        """One batch at least for every partition of the internal log."""
        covered = (chunk.records[0].offset, chunk.records[-1].offset)
        record_ms = max([record.timestamp for record in chunk.records])
        topic_id = self.context.topic_ids.get(chunk.topic, "")
        partitions = self.context.partitions[self.context.topic("events")]
        split = batches_of(
            chunk.topic,
            topic_id,
            chunk.partition,
            rows,
            controls,
            partitions,
            MAX_BATCH_BYTES,
            covered=covered,
            joined=lambda model: self.context.model(model).joins,
        )
        empty = Batch(chunk.topic, chunk.partition, topic_id, *covered, record_ms, [])
        sources = self.context.partitions[chunk.topic]
        return told_to_all(split, empty, marks_of(rows), partitions, sources)

    async def _publish(self, batches: dict[int, list[Batch]]) -> None:
        topic = self.context.topic("events")
        messages = [
            Message(topic, encode_batch(batch), partition=partition)
            for partition, some in batches.items()
            for batch in some
        ]
        try:
            await self.context.producer.deliver(messages)
        except DeliveryFailed as error:
            largest = max(len(message.value or b"") for message in messages)
            raise Unfit(
                f"topic {topic} does not take a message of {largest:,} bytes ({error}): raise its "
                "max.message.bytes"
            ) from error

    def _letters(self, chunk: Chunk, refused: Mapping[int, Rejected]) -> list[Message]:
        if not refused:
            return []
        found = ((record, refused.get(record.offset)) for record in chunk.records)
        return [self._letter(chunk, record, error) for record, error in found if error]

    def _letter(self, chunk: Chunk, record: Record, error: Rejected) -> Message:
        self.context.counters.dead_letters.labels(error.reason).inc()
        headers = told(record, chunk.tp, error.reason, error.detail)
        return Message(self.context.topic("dead-letters"), record.value, record.key, None, headers)

    async def _publish_letters(self, letters: list[Message]) -> None:
        """A record may be as large as its topic allows; with our headers it may not fit."""
        try:
            return await self.context.producer.deliver(letters)
        except DeliveryFailed as error:
            log.error("a dead letter does not fit its topic, it is shortened: %s", error)
        for whole in letters:
            for letter in (whole, *shortened(whole)):
                try:
                    await self.context.producer.deliver([letter])
                    break
                except DeliveryFailed as error:
                    log.warning("a dead letter of %d bytes: %s", len(letter.value or b""), error)
            else:
                self.context.counters.undeliverable.labels("dead-letters").inc()
        return None

    def _count(self, chunk: Chunk, letters: int) -> None:
        topic = self.names[chunk.topic]
        self.context.counters.events.labels(topic, "accepted").inc(len(chunk.records) - letters)
        self.context.counters.events.labels(topic, "rejected").inc(letters)

    async def tell_idle(self, read_up: Collection[TP]) -> None:
        """Tell every ledger of source partitions without news, so that they hold nobody back.

        read_up: partitions of which nothing is left to read or in hand. One is idle as of a look
        when the next look finds nothing taken in since: a record just fetched is in hand by then.
        """
        now_ms = int(time.time() * 1000)
        told: list[Batch] = []
        for tp, (offset, since_ms) in self._quiet.items():
            if tp in read_up and self.taken.get(tp) == offset:
                topic_id = self.context.topic_ids.get(tp.topic, "")
                told.append(Batch(tp.topic, tp.partition, topic_id, offset, offset, since_ms, []))
        self._quiet = {tp: (self.taken[tp], now_ms) for tp in read_up if tp in self.taken}
        if told:
            partitions = self.context.partitions[self.context.topic("events")]
            await self._publish(dict.fromkeys(range(partitions), told))

    def assigned(self, tp: TP) -> None:
        """A source partition is ours."""
        self.taken[tp] = -1

    def revoked(self, tp: TP) -> None:
        """A source partition is ours no longer."""
        self.taken.pop(tp, None)
        self._quiet.pop(tp, None)
