"""Fetches: the thread with aiokafka in it, asked for chunks instead of records.

Built on inner parts of faust-streaming 0.15 and aiokafka 0.14.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import OffsetAndMetadata, TopicPartition  # type: ignore[import-untyped]
from aiokafka.consumer.fetcher import FetchResult  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
)
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver

from agents.arrivals import take_at_once
from agents.chunks import TP, Lane
from agents.frames import gather

log = logging.getLogger(__name__)

Fetched = tuple[Lane, int, int, list[Any]]  # position before, position after, records

FETCH_WAIT_MS = 100  # on the broker; while it waits, no other partition of that broker is asked
FETCH_LEAST = 2**20  # bytes that it waits for: rows that come few at a time cost twice as much


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread with aiokafka in it. What starts with an underscore runs there."""

    app: Any
    _consumer: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        # partitions that only passed markers of transactions: where they got to, and from where
        self._markers: dict[TP, tuple[int, int]] = {}
        self._commits_fail = False  # said once, not once a second

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._fetch_min_bytes = FETCH_LEAST
        gather(consumer._client)
        return consumer

    async def on_start(self) -> None:
        """Connect, however long it takes until a broker is there."""
        while not self.should_stop:
            try:
                return await super().on_start()
            except KafkaConnectionError as error:
                log.warning("no Kafka broker answers, trying again: %s", error)
                with contextlib.suppress(Exception):
                    await self._consumer.stop()
                await self.sleep(1.0)
        return None

    async def on_thread_stop(self) -> None:
        """Leave the group and disconnect."""
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:  # of aiokafka's own fetches; would hang the shutdown
            log.warning("disconnected from Kafka in the middle of a fetch")

    async def call_thread(self, *args: Any, **kwargs: Any) -> Any:
        """The answer of the thread. Raises ConsumerNotStarted where it has ended already."""
        try:
            return await super().call_thread(*args, **kwargs)
        except RuntimeError as error:
            if self.thread_loop.is_closed():
                raise ConsumerNotStarted("the consumer has ended") from error
            raise

    async def read(
        self, lanes: list[Lane], room: dict[str, int], limit: int, wait_s: float
    ) -> list[Fetched]:
        """At most limit records of each partition; waits at most wait_s for the first ones."""
        found: list[Fetched]
        found = await self.call_thread(self._read, lanes, room, limit, wait_s)
        return found

    async def _read(
        self, lanes: list[Lane], room: dict[str, int], limit: int, wait_s: float
    ) -> list[Fetched]:
        consumer = self._ensure_consumer()
        try:
            consumer._coordinator.check_errors()
        except KafkaError as error:
            raise RuntimeError("the consumer group is lost") from error
        with consumer._subscription.fetch_context():
            found = await self._take(consumer, lanes, room, limit)
            if not found:
                waiter = consumer._fetcher._create_fetch_waiter()
                done, _ = await asyncio.wait([waiter], timeout=wait_s)
                if not done:
                    waiter.cancel()
                    return []
                waiter.result()
                found = await self._take(consumer, lanes, room, limit)
            return found

    async def _take(
        self, consumer: Any, lanes: list[Lane], room: dict[str, int], limit: int
    ) -> list[Fetched]:
        """What has arrived already. Nothing here gives way to the loop, so positions are exact."""
        found, left = [], dict(room)
        arrived = consumer._fetcher._records
        for lane in lanes:
            if TopicPartition(*lane.tp) not in arrived:  # nearly always, and asked often
                continue
            state = self._state(consumer, lane)
            if state is None or left[lane.tp.topic] <= 0:
                continue
            base = self._base(lane.tp, state.position)
            records = await self._records(consumer, lane.tp, limit)
            if records:
                found.append((lane, base, state.position, records))
                left[lane.tp.topic] -= 1
            elif state.has_valid_position and state.position != base:
                self._markers[lane.tp] = (state.position, base)  # part of the next chunk
        return found

    async def _records(self, consumer: Any, tp: TP, limit: int) -> list[Any]:
        key = TopicPartition(*tp)
        held = consumer._fetcher._records.get(key)
        if isinstance(held, FetchResult):
            take_at_once(held)
        try:
            found: dict[Any, list[Any]] = await consumer._fetcher.fetched_records({key}, 0, limit)
        except KafkaError as error:  # it is fetched again, and again; never skipped
            log.error("%s/%d cannot be read, trying again: %r", *tp, error)
            return []
        return found.get(key, [])

    def _base(self, tp: TP, position: int) -> int:
        reached, base = self._markers.pop(tp, (None, 0))
        return base if reached == position else position

    def _state(self, consumer: Any, lane: Lane) -> Any:
        """Where aiokafka is in a partition, or None while nothing may be read for this lane.

        A lane of an earlier assignment must not take what a later one is to get: it is not live
        any more before the later one is placed.
        """
        subscriptions, key = consumer._subscription, TopicPartition(*lane.tp)
        if not lane.live or subscriptions.reassignment_in_progress:
            return None
        if not subscriptions.is_assigned(key):
            return None
        state = subscriptions.subscription.assignment.state_value(key)
        return state if state is not None and state.has_valid_position else None

    async def place(self, starts: Mapping[TP, int | None]) -> None:
        """Read these partitions from these offsets next; None leaves the position to Kafka."""
        await self.call_thread(self._place, starts)

    async def _place(self, starts: Mapping[TP, int | None]) -> None:
        for tp, offset in starts.items():
            self._markers.pop(tp, None)
            if offset is not None:
                self._ensure_consumer().seek(TopicPartition(*tp), offset)

    async def committed(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where the group's partitions are to go on, of those for which Kafka was told."""
        found: dict[TP, int] = await self.call_thread(self._committed, tps)
        return found

    async def _committed(self, tps: Iterable[TP]) -> dict[TP, int]:
        coordinator = self._ensure_consumer()._coordinator
        found = await coordinator.fetch_committed_offsets([TopicPartition(*tp) for tp in tps])
        return {TP(*tp): at.offset for tp, at in found.items() if at.offset >= 0}

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        """Tell Kafka; it is only a hint, so failing is a warning. Never crashes the worker."""
        told = {TopicPartition(*tp): OffsetAndMetadata(at, "") for tp, at in offsets.items()}
        try:
            async with asyncio.timeout(self.app.options.commit_timeout_s):
                await self._ensure_consumer().commit(told)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            if not self._commits_fail:
                log.warning("commit of %d partitions failed, trying on: %r", len(told), error)
            self._commits_fail = True
            return False
        if self._commits_fail:
            log.warning("commits work again")
        self._commits_fail = False
        return True
