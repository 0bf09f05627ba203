"""The intake agent: whatever producers send, as batches for the internal log.

It keeps no state: a chunk is decoded, produced and flushed, then acknowledged. What is sent twice
after a crash is dropped by the ledgers, which know the source offset of every row.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator

from agents import arrows
from agents.chunks import TP, Chunk, Record
from agents.context import Context
from agents.keepers import Unfit
from agents.letters import shortened, told
from agents.producers import DeliveryFailed, Message
from stream.batches import Batch, batches_of, encode_batch
from stream.batches.blocks import Block, ControlRow, Kind
from stream.batches.splitting import Row
from stream.events import (
    Limits,
    Prediction,
    Rejected,
    Truth,
    decode_control,
    decode_prediction,
    decode_truth,
)
from stream.marks import marks_of, told_to_all

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 700_000
LOOK_S = 5.0  # between two looks at which source partitions are idle
NOT_JSON = b"application/cloudevents+json"  # an envelope around the event: the suffix misleads
DECODERS: dict[str, Callable[[bytes | None, bytes | None, int, Limits], Prediction | Truth]] = {
    "predictions": decode_prediction,
    "ground-truth": decode_truth,
}
ARROWS: dict[str, Kind] = {"predictions": "prediction", "ground-truth": "truth"}
SOURCES = (*DECODERS, "control")


class Intake:
    """The source partitions of one worker. taken: the last offset taken in of each, -1 for none."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.limits = context.settings.limits.decoding()
        self.names = {context.topic(name): name for name in SOURCES}
        self.taken: dict[TP, int] = {}
        self._quiet: dict[TP, tuple[int, int]] = {}  # offset, and when nothing was behind it (ms)

    async def handle(self, chunk: Chunk) -> None:
        """Decode a chunk, publish what came of it, acknowledge it. Raises keepers.Unfit."""
        rows: list[Row] = []
        controls: list[ControlRow] = []
        letters: list[Message] = []
        for record in chunk.records:
            try:
                self._decode(chunk, record, rows, controls)
            except Rejected as error:
                letters.append(self._letter(chunk, record, error))
        batches = self._batches(chunk, rows, controls)
        self.context.reach("before forward")
        await self._publish(batches)
        self.context.reach("between forward and letters")
        await self._publish_letters(letters)
        self.context.reach("after forward")
        self.taken[chunk.tp] = chunk.records[-1].offset
        self._count(chunk, len(letters))
        self.context.ack(chunk.tp, chunk.next)
        self.context.reach("after receipt")

    def _decode(
        self, chunk: Chunk, record: Record, rows: list[Row], controls: list[ControlRow]
    ) -> None:
        name = self.names[chunk.topic]
        if name in ARROWS and is_arrow(record):
            rows.extend(self._table(ARROWS[name], record))
            return
        _check_type(record)
        args = (record.value, record.key, record.timestamp, self.limits)
        if name == "control":
            self._check_model(decode_control(*args).model)
            controls.append((record.offset, record.timestamp, record.value or b""))
        else:
            event = DECODERS[name](*args)
            self._check_model(event.model)
            rows.append((record.offset, record.timestamp, event))

    def _table(self, kind: Kind, record: Record) -> list[Block]:
        """Many rows of one record, or Rejected as a whole."""
        place = arrows.Place(record.offset, record.timestamp, self.limits)
        blocks = arrows.rows_in(kind, record.value, place)
        for block in blocks:
            self._check_model(block.model)
        return blocks

    def _check_model(self, model: str) -> None:
        settings = self.context.settings
        if settings.intake.unknown_models == "refuse" and model not in settings.models:
            raise Rejected("unknown-model", f"{model!r} has no table in [models]")

    def _batches(
        self, chunk: Chunk, rows: list[Row], controls: list[ControlRow]
    ) -> dict[int, list[Batch]]:
        """One batch at least for every partition of the internal log."""
        covered = (chunk.records[0].offset, chunk.records[-1].offset)
        record_ms = max(record.timestamp for record in chunk.records)
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
            joined=lambda model: self.context.model(model).expects_truth,
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


def is_arrow(record: Record) -> bool:
    """Whether a header says that the value is an Arrow stream."""
    return arrows.MEDIA_TYPE.encode() in _types(record)


def _types(record: Record) -> Iterator[bytes]:
    for name, value in record.headers:
        if name.lower() == "content-type":
            yield (value or b"").split(b";")[0].strip().lower()


def _check_type(record: Record) -> None:
    """Raises Rejected where a header says that the value is not JSON."""
    for kind in _types(record):
        json = kind in (b"", b"application/json", b"text/json") or kind.endswith(b"+json")
        if not json or kind == NOT_JSON:
            shown = kind[:100].decode("ascii", "replace")
            raise Rejected("unknown-content-type", f"content-type {shown!r} is not JSON")
