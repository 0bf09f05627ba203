"""The intake agent: whatever producers send, as batches for the internal log.

It keeps no state: a chunk is decoded, produced and flushed, then acknowledged. What is sent twice
after a crash is dropped by the ledgers, which know the source offset of every row.
"""

import logging
import time
from collections.abc import Callable

from agents.chunks import TP, Chunk, Record
from agents.context import Context
from agents.letters import told
from agents.producers import DeliveryFailed, Message
from stream.batches import Batch, batches_of, encode_batch
from stream.batches.blocks import ControlRow
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
IDLE_S = 5.0  # a source partition without records for so long is told of as idle
JSON_TYPES = (b"application/json", b"application/cloudevents+json", b"")
DECODERS: dict[str, Callable[[bytes | None, bytes | None, int, Limits], Prediction | Truth]] = {
    "predictions": decode_prediction,
    "ground-truth": decode_truth,
}
SOURCES = (*DECODERS, "control")


class Intake:
    """The source partitions of one worker. newest: what was taken in last of each, and when."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.limits = context.settings.limits.decoding()
        self.names = {context.topic(name): name for name in SOURCES}
        self.newest: dict[TP, tuple[int, float]] = {}

    async def handle(self, chunk: Chunk) -> None:
        """Decode a chunk, publish what came of it, acknowledge it."""
        rows: list[Row] = []
        controls: list[ControlRow] = []
        letters: list[Message] = []
        for record in chunk.records:
            try:
                self._decode(chunk, record, rows, controls)
            except Rejected as error:
                letters.append(self._letter(chunk, record, error))
        await self._publish(self._batches(chunk, rows, controls))
        await self._publish_letters(letters)
        self.newest[chunk.tp] = (chunk.records[-1].offset, time.monotonic())
        self._count(chunk, len(letters))
        self.context.ack(chunk.tp, chunk.next)

    def _decode(
        self, chunk: Chunk, record: Record, rows: list[Row], controls: list[ControlRow]
    ) -> None:
        _check_type(record)
        name = self.names[chunk.topic]
        args = (record.value, record.key, record.timestamp, self.limits)
        if name == "control":
            model = decode_control(*args).model
            controls.append((record.offset, record.timestamp, record.value or b""))
        else:
            event = DECODERS[name](*args)
            model = event.model
            rows.append((record.offset, record.timestamp, event))
        if self._refused(model):
            (rows if name != "control" else controls).pop()
            raise Rejected("unknown-model", f"{model!r} has no table in [models]")

    def _refused(self, model: str) -> bool:
        settings = self.context.settings
        return settings.intake.unknown_models == "refuse" and model not in settings.models

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
        await self.context.producer.deliver(messages)

    def _letter(self, chunk: Chunk, record: Record, error: Rejected) -> Message:
        self.context.counters.dead_letters.labels(error.reason).inc()
        headers = told(record, chunk.tp, error.reason, error.detail)
        return Message(self.context.topic("dead-letters"), record.value, record.key, None, headers)

    async def _publish_letters(self, letters: list[Message]) -> None:
        """A record may be as large as its topic allows; with our headers it may not fit."""
        while letters:
            try:
                return await self.context.producer.deliver(letters)
            except DeliveryFailed as error:
                if not error.hopeless:
                    raise
                letters = letters[error.sent :]
                log.error("a dead letter does not fit its topic; its value is left out: %s", error)
                letters[0] = _without_value(letters[0])
        return None

    def _count(self, chunk: Chunk, letters: int) -> None:
        topic = self.names[chunk.topic]
        self.context.counters.events.labels(topic, "accepted").inc(len(chunk.records) - letters)
        self.context.counters.events.labels(topic, "rejected").inc(letters)

    async def tell_idle(self) -> None:
        """Tell every ledger of source partitions without news, so that they hold nobody back."""
        now_ms, now_s = int(time.time() * 1000), time.monotonic()
        batches: dict[int, list[Batch]] = {}
        for tp, (offset, since) in self.newest.items():
            if now_s - since < IDLE_S:
                continue
            topic_id = self.context.topic_ids.get(tp.topic, "")
            batch = Batch(
                tp.topic, tp.partition, topic_id, offset, offset, now_ms - round(IDLE_S * 1000), []
            )
            for partition in range(self.context.partitions[self.context.topic("events")]):
                batches.setdefault(partition, []).append(batch)
        if batches:
            await self._publish(batches)

    def assigned(self, tp: TP) -> None:
        """A source partition is ours: it is idle until a record comes."""
        self.newest[tp] = (-1, time.monotonic())

    def revoked(self, tp: TP) -> None:
        """A source partition is ours no longer."""
        self.newest.pop(tp, None)


def _check_type(record: Record) -> None:
    for name, value in record.headers:
        if name.lower() == "content-type":
            kind = (value or b"").split(b";")[0].strip().lower()
            if kind not in JSON_TYPES:
                shown = kind.decode("ascii", "replace")
                raise Rejected("unknown-content-type", f"content-type {shown!r} is not JSON")


def _without_value(letter: Message) -> Message:
    headers = (*letter.headers, ("driftline-value-bytes", str(len(letter.value or b"")).encode()))
    return Message(letter.topic, None, None, letter.partition, headers)
