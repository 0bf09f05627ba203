"""Keepers: one partition of a stage, its memory and its hold on Redis.

The core decides, the keeper fetches what it asks for and makes durable what it says. One lock a
partition: records, checkpoints and the rebalance handler never meet. Memory that may be ahead of
or behind Redis (a refusal, an error, a call cancelled half-way) is never written: the keeper ends.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from agents.chunks import TP, Record
from agents.context import Context
from agents.producers import DeliveryFailed, Message
from agents.repair.judgements import of_identity, of_position
from agents.rollbacks import NOTHING, Told, recognised
from agents.store import Changes as Stored
from agents.store import Claim, OutMessage, Partition, Prepared, Refused
from stream.changes import Changes, Headers
from stream.changes import OutMessage as Said

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Core(Protocol):
    """What a stage does with a partition."""

    async def restore(self, partition: Partition) -> None:
        """Take up the state in Redis."""

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        """Take in records, in order."""

    def changes(self) -> Changes:
        """What is to be made durable since the last call. Called in a thread: it may take long."""

    async def confirm(self) -> None:
        """Raises Refused where `changes` rests on what is not in Redis any more; OUTAGES."""

    def due(self) -> bool:
        """Whether there is work besides records."""

    def urgent(self) -> bool:
        """Whether what it came to should not wait for the next checkpoint."""

    async def work(self) -> None:
        """Do a part of it."""

    async def housekeeping(self, partition: Partition) -> bool:
        """Look after what grows old; whether the next checkpoint has something to remove."""


class Unfit(Exception):
    """State and log do not belong together, and waiting will not help; the message says why."""


class Replaced(Unfit):
    """The topic under a partition's state is another one now."""


class Missing(Unfit):
    """Records between the state and where Kafka goes on were never applied."""


class Keeper:
    """A partition that this worker owns. `next` is the position behind what memory holds.

    live: memory and Redis agree on what was written. refused: somebody else claimed it since.
    """

    def __init__(self, context: Context, stage: str, tp: TP, core: Core) -> None:
        self.context, self.stage, self.tp, self.core = context, stage, tp, core
        self.partition = context.store.partition(stage, tp.partition)
        self.lock = asyncio.Lock()
        self.next: int | None = None
        self.dirty_s: float | None = None  # since when, by the monotonic clock
        self.unsaved = 0  # bytes of records that Redis does not have yet
        self.live = False
        self.refused = False

    @property
    def kind(self) -> str:
        """What its topic is called where names have no prefix."""
        return "events" if self.stage == "ledger" else "signals"

    @property
    def identity(self) -> str:
        """What the state belongs to: the topic's id ("" where not known) and its partitions."""
        topic = self.tp.topic
        return f"{self.context.topic_ids.get(topic, '')}:{self.context.partitions[topic]}"

    async def open(self, told: Told = NOTHING) -> int:
        """Claim the partition and load it; where to read from. Raises Replaced, Missing.

        told: what was known of it, to recognise a Redis that was rolled back.
        """
        async with self.lock:
            claim = await self._wait(self.partition.claim)
            self._check(claim)
            await self._look_back(claim, told)
            with self._ending():
                self.context.reach("before restore")
                await self._restore()
                self.context.reach("after restore")
                self.next = claim.next
                self.live = True
                if claim.backlog:
                    await self._relay()
        return claim.next or 0

    async def _look_back(self, claim: Claim, told: Told) -> None:
        """Say what Redis has lost. Raises Missing where Kafka has it no more.

        The watch's messages are numbered: it sees by itself whether one is missing, and those that
        the ledgers make again come behind all that Kafka has.
        """
        found = recognised(f"{self.tp.topic}/{self.tp.partition}", claim, told)
        if found is None:
            return
        self.context.counters.rollbacks.labels(self.stage).inc()
        first = await self.context.log_start(self.tp)
        if self.stage == "ledger" and first > found.start:
            raise Missing(
                f"{found}. Kafka's log begins at {first}, so that what was counted of records "
                f"{found.start} to {first - 1} cannot be had again. Restore a newer copy of Redis, "
                "or see what driftline repair says"
            )
        log.warning("%s; reading again from offset %d on", found, max(first, found.start))

    async def _restore(self) -> None:
        """Raises Unfit, Damaged: what is in Redis cannot be read, or not with these settings."""
        try:
            await self._wait(lambda: self.core.restore(self.partition))
        except ValueError as error:
            raise Unfit(f"the state of {self.partition.name} is of no use: {error}") from error

    def _check(self, claim: Claim) -> None:
        """Raises Replaced."""
        if not claim.topic_id:
            return
        wrong = of_identity(self.kind, self.tp.topic, claim.topic_id, self.identity)
        if wrong is not None:
            raise Replaced(str(wrong))

    async def handle(self, records: Sequence[Record], base: int, after: int) -> None:
        """Apply a chunk; nothing is acknowledged here. Raises Missing, and what the core raises.

        base, after: the positions before and after it. One that is not live takes nothing in.
        """
        async with self.lock:
            if not self.live:
                return
            with self._ending():
                if self.next is not None and base != self.next:
                    await self._skip(base)
                await self.core.apply(self.partition, records)
                self.next = after
                self._soil()
                self.unsaved += sum(len(record.value or b"") for record in records)
                if self.unsaved >= self.context.settings.worker.max_unsaved_bytes:
                    await self._checkpoint()
                self.context.reach("after take")

    async def work(self) -> None:
        """Do what is due, part after part; in between, checkpoints have the lock.

        What is left when the partition is to be given back, the next owner does.
        """
        while self.live and self.core.due() and self.context.ours(self.tp):
            async with self.lock:
                if self.live:
                    with self._ending():
                        await self.core.work()
                        self._soil()
                        if self.core.urgent():
                            await self._checkpoint()

    async def _skip(self, base: int) -> None:
        """Kafka goes on elsewhere. Raises Missing, with the command that helps.

        Positions have no holes: what compaction leaves out lies inside a chunk.
        """
        assert self.next is not None
        where = f"{self.tp.topic}/{self.tp.partition}"
        first = await self.context.log_start(self.tp)
        wrong = of_position(self.kind, where, self.next, first, max(base, first))
        if wrong is None:
            raise Missing(f"{where}: read on at offset {base} instead of {self.next}")
        raise Missing(str(wrong))

    def unsaved_s(self) -> float:
        """How long the oldest work that Redis does not have yet has waited."""
        return 0.0 if self.dirty_s is None else time.monotonic() - self.dirty_s

    async def checkpoint(self) -> None:
        """Make everything durable, publish it, and acknowledge. A refusal ends the keeper."""
        async with self.lock:
            if self.live and self.dirty_s is not None:
                with self._ending():
                    await self._checkpoint()

    async def housekeeping(self) -> None:
        """Look whether Redis has what was written, and let the core look after what grows old."""
        async with self.lock:
            if self.live:
                with self._ending():
                    await self._wait(self.partition.verify)
                    if await self.core.housekeeping(self.partition):
                        self._soil()

    def _soil(self) -> None:
        """Memory is ahead of Redis from now on."""
        if self.dirty_s is None:
            self.dirty_s = time.monotonic()

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """Whatever goes wrong in here, memory is not to be trusted afterwards."""
        try:
            yield
        except Refused as refusal:
            self.live, self.refused = False, True
            self.context.counters.refusals.labels(self.stage, refusal.kind).inc()
            log.warning("%s; its memory is dropped", refusal)
            self.context.lost(self.tp)
        except BaseException:
            self.live = False
            raise

    async def _checkpoint(self) -> None:
        with self.context.counters.checkpoint_seconds.labels(self.stage).time():
            changes = await self.context.beside.brief(self.core.changes)
            for known in changes.references.items():
                self.context.reach("before reference")
                await self._wait(functools.partial(self.context.store.put_reference, *known))
                self.context.reach("after reference")
            prepared = await self.context.beside.brief(lambda: self._prepared(changes))
            await self._wait(lambda: self.partition.checkpoint(prepared, self.core.confirm))
            self.context.counters.checkpoint_bytes.labels(self.stage).observe(prepared.size)
        self.dirty_s, self.unsaved = None, 0
        self._count(changes)
        if self.next is not None and not self.core.due():  # what is acknowledged is judged as well
            self.context.reach("before ack")
            self.context.ack(self.tp, self.next)
            self.context.reach("after ack")
        if self.partition.backlog:
            await self._relay()

    def _prepared(self, changes: Changes) -> Prepared:
        return self.partition.prepare(self._stored(changes), self.next, self.identity)

    def _count(self, changes: Changes) -> None:
        self.context.counters.checkpoints.labels(self.stage).inc()
        for message in changes.outbox:
            if message.topic == "dead-letters":
                reason = dict(message.headers)["driftline-reason"].decode()
                self.context.counters.dead_letters.labels(reason).inc()

    def _stored(self, changes: Changes) -> Stored:
        outbox = [
            OutMessage(m.topic, m.key, m.value, self._headers(m), self.context.place(m))
            for m in changes.outbox
        ]
        return Stored(
            changes.puts, changes.deletes, changes.pending_puts, changes.pending_deletes, outbox
        )

    def _headers(self, m: Said) -> Headers:
        """Signals say which checkpoint they are of, see `agents.origins`."""
        stamp = self.partition.stamp.header()
        return (*m.headers, stamp) if m.topic == "signals" else m.headers

    async def _relay(self) -> None:
        """Publish what the outbox holds, in order; removed once Kafka has it. Raises Refused."""
        while found := await self._wait(self.partition.outbox):
            messages = [message for _, message in found]
            self.context.reach("before produce")
            try:
                await self.context.producer.deliver([self._message(m) for m in messages])
            except DeliveryFailed:  # one of them is hopeless: which one shows one by one
                await self._deliver_singly(messages)
            for message in messages:
                self.context.counters.published.labels(message.topic).inc()
            self.context.reach("after produce")
            refs = [ref for ref, _ in found]
            await self._wait(functools.partial(self.partition.remove, refs))

    async def _deliver_singly(self, messages: Sequence[OutMessage]) -> None:
        """What Kafka will never take must not hold up the rest; but a signal cannot be missed."""
        for message in messages:
            try:
                await self.context.producer.deliver([self._message(message)])
            except DeliveryFailed as error:
                topic = self.context.topic(message.topic)
                told = f"topic {topic} does not take a message of {len(message.value):,} bytes"
                if message.topic == "signals":
                    raise Unfit(f"{told} ({error}): raise its max.message.bytes") from error
                self.context.counters.undeliverable.labels(message.topic).inc()
                log.error("%s, it is left out: %s", told, error)

    def _message(self, m: OutMessage) -> Message:
        return Message(self.context.topic(m.topic), m.value, m.key, m.partition, m.headers)

    async def _wait(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        return await self.context.wait(self.stage, call)

    async def close(self) -> None:
        """Checkpoint once more and forget, also where there is no time for it."""
        self.context.reach("before close")
        try:
            await self.checkpoint()
            self.context.reach("after close")
        finally:
            self.live = False
