"""Keepers: one partition of a stage, its memory and its hold on Redis.

The core decides, the keeper fetches what it asks for and makes durable what it says. One lock a
partition: records, checkpoints and the rebalance handler never meet.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from agents.chunks import TP, Record
from agents.context import Context
from agents.producers import Message
from agents.store import Changes as Stored
from agents.store import Claim, OutMessage, Partition, Refused
from stream.changes import Changes

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Core(Protocol):
    """What a stage does with a partition."""

    async def restore(self, partition: Partition) -> None:
        """Take up the state in Redis."""

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        """Take in records, in order."""

    def changes(self) -> Changes:
        """What is to be made durable since the last call."""


class Replaced(RuntimeError):
    """The topic under a partition's state is another one now."""


class Keeper:
    """A partition that this worker owns. `next` is the position behind what memory holds."""

    def __init__(self, context: Context, stage: str, tp: TP, core: Core) -> None:
        self.context, self.stage, self.tp, self.core = context, stage, tp, core
        self.partition = context.store.partition(stage, tp.partition)
        self.lock = asyncio.Lock()
        self.next: int | None = None
        self.dirty = False
        self.live = False

    async def open(self) -> int:
        """Claim the partition and load it; where to read from. Raises Replaced."""
        async with self.lock:
            claim = await self._wait(self.partition.claim)
            self._check(claim)
            await self._wait(lambda: self.core.restore(self.partition))
            self.next = claim.next
            self.live = True
            if claim.backlog:
                await self._relay()
        return claim.next or 0

    def _check(self, claim: Claim) -> None:
        now = self.context.topic_ids.get(self.tp.topic, "")
        if claim.topic_id and now and claim.topic_id != now:
            raise Replaced(
                f"topic {self.tp.topic} was deleted and made anew (its id was {claim.topic_id}, "
                f"is {now}): the state in Redis speaks of records that are gone"
            )

    async def handle(self, records: Sequence[Record], base: int, after: int) -> None:
        """Apply a chunk. Raises Gap-like errors as they are; nothing is acknowledged here."""
        async with self.lock:
            if not self.live:
                return
            if self.next is not None and base > self.next:
                log.error("%s/%d: records %d to %d are missing", *self.tp, self.next, base - 1)
            new = [r for r in records if self.next is None or r.offset >= self.next]
            if new:
                await self.core.apply(self.partition, new)
            self.next = max(after, self.next or 0)
            self.dirty = True

    async def checkpoint(self) -> None:
        """Make everything durable, publish it, and acknowledge. Refusals end the keeper."""
        async with self.lock:
            if not self.live or not self.dirty:
                return
            try:
                with self.context.counters.checkpoint_seconds.labels(self.stage).time():
                    await self._checkpoint()
            except Refused as refused:
                self.live = False
                self.context.counters.refusals.labels(self.stage, refused.kind).inc()
                log.warning("%s; its memory is dropped", refused)
                self.context.lost(self.tp)

    async def _checkpoint(self) -> None:
        changes = self.core.changes()
        for known in changes.references.items():
            await self._wait(functools.partial(self.context.store.put_reference, *known))
        topic_id = self.context.topic_ids.get(self.tp.topic, "")
        prepared = self.partition.prepare(self._stored(changes), self.next, topic_id)
        await self._wait(lambda: self.partition.checkpoint(prepared))
        self.dirty = False
        self.context.counters.checkpoints.labels(self.stage).inc()
        if self.next is not None:
            self.context.ack(self.tp, self.next)
        if self.partition.backlog:
            await self._relay()

    def _stored(self, changes: Changes) -> Stored:
        outbox = [
            OutMessage(m.topic, m.key, m.value, m.headers, self.context.place(m))
            for m in changes.outbox
        ]
        return Stored(
            changes.puts, changes.deletes, changes.pending_puts, changes.pending_deletes, outbox
        )

    async def _relay(self) -> None:
        """Publish what the outbox holds, in order; removed once Kafka has it."""
        while found := await self._wait(self.partition.outbox):
            await self.context.producer.deliver([self._message(m) for _, m in found])
            for _, message in found:
                self.context.counters.published.labels(message.topic).inc()
            refs = [ref for ref, _ in found]
            await self._wait(functools.partial(self.partition.remove, refs))

    def _message(self, m: OutMessage) -> Message:
        return Message(self.context.topic(m.topic), m.value, m.key, m.partition, m.headers)

    async def _wait(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        return await self.context.wait(self.stage, call)

    async def close(self) -> None:
        """Checkpoint once more and forget."""
        await self.checkpoint()
        async with self.lock:
            self.live = False
