"""Consumers: what feeds the app's agents with chunks, and gives partitions back in order.

Built on inner parts of faust-streaming 0.15 and aiokafka 0.14.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any

import faust.types
from aiokafka.errors import IllegalStateError, KafkaError  # type: ignore[import-untyped]
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from agents.chunks import TP, Lane, Positions
from agents.fetches import ConsumerThread

log = logging.getLogger(__name__)

IDLE_WAIT_S = 0.25  # how long one look for new records lasts
FULL_WAIT_S = 0.02  # the same while some partition's buffer is full: room may come any moment


class Consumer(driver.Consumer):
    """Yields chunks, seeks where the application says, commits what it acknowledged."""

    app: Any
    _thread: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._committing = asyncio.Lock()
        self._releasing = asyncio.Lock()
        self._opening: set[asyncio.Task[None]] = set()
        self.positions: Positions = self.app.positions
        self.positions.reopen = self.reopen

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """The one loop that feeds all agents."""
        with self.app.fatal("the consumer"):
            while not (self.should_stop or fetcher.should_stop):
                try:
                    async for message in self._next():
                        await self.callback(message)
                except KafkaError as error:
                    log.error("reading from Kafka failed, trying again: %r", error)
                    await self.sleep(1.0)

    async def _next(self) -> AsyncIterator[ConsumerMessage]:
        if not self.flow_active:
            await self.sleep(0.05)
            return
        lanes, room, all_free = self.positions.wanted()
        wait_s = IDLE_WAIT_S if lanes and all_free else FULL_WAIT_S
        limit = self.app.options.max_chunk_records
        for lane, base, after, records in await self._thread.read(lanes, room, limit, wait_s):
            yield self._message(lane, base, after, records)

    def _message(self, lane: Lane, base: int, after: int, records: list[Any]) -> ConsumerMessage:
        if lane.expected not in (None, base):
            told = (*lane.tp, lane.expected, base)
            log.error("%s/%d: expected offset %s, but Kafka goes on at %d", *told)
        chunk: Any = self.positions.buffered(lane, records, base, after)
        generation, where = self.app.consumer_generation_id, faust.types.TP(*lane.tp)
        return ConsumerMessage(
            *where, base, 0.0, 0, None, None, chunk, None, 0, 0, where, generation_id=generation
        )

    async def perform_seek(self) -> None:
        """After a rebalance: ask where to read from, then let fetching start. Does not wait."""
        self._start_opening(TP(*tp) for tp in self.assignment())

    def reopen(self, tps: Iterable[TP]) -> None:
        """Drop what is buffered of these partitions and ask again where to read from.

        Those that are not ours (any more) are left alone.
        """
        self._start_opening(self.positions.living(tps))

    def _start_opening(self, tps: Iterable[TP]) -> None:
        task = asyncio.ensure_future(self._open(self.positions.open(tps)))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, lanes: list[Lane]) -> None:
        await self.positions.idle(lane.tp for lane in lanes)
        lanes = [lane for lane in lanes if lane.live]
        if not lanes:
            return
        with self.app.fatal("a new assignment"):
            starts = await self.app.assigned({lane.tp for lane in lanes})
        lanes = [lane for lane in lanes if lane.live]
        for lane in lanes:
            start = starts.get(lane.tp)
            lane.expected = lane.begin if start is None else start
        try:
            await self._thread.place({lane.tp: lane.expected for lane in lanes})
        except IllegalStateError:
            log.info("partitions were taken away again before they were read")
            return
        for lane in lanes:
            lane.ready = True

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Hand over in order: finish, checkpoint, commit, forget."""
        await self.release(self.app.options.rebalance_timeout_s / 2)
        await super().on_partitions_revoked(revoked)

    async def release(self, limit_s: float) -> bool:
        """Give all partitions back within limit_s seconds (rebalances revoke all of them).

        Answers whether their work was finished: what was not is done again by the next owner.
        """
        finished = True
        async with self._releasing:
            tps = self.positions.assigned()
            self.positions.close(tps)
            opening = list(self._opening)
            for task in opening:
                task.cancel()
            try:
                async with asyncio.timeout(limit_s):
                    await asyncio.gather(*opening, return_exceptions=True)
                    await self._finish(tps)
            except TimeoutError:
                log.warning("gave up finishing %d partitions after %.0f s", len(tps), limit_s)
                finished = False
            await self.commit()
            self.positions.forget(tps)
        return finished

    async def _finish(self, tps: set[TP]) -> None:
        await self.positions.idle(tps)
        if tps:
            with self.app.fatal("a revoked assignment"):
                await self.app.revoked(tps)

    async def commit(self, *_: Any, **__: Any) -> bool:
        """Commit what was acknowledged since the last time."""
        async with self._committing:
            offsets = self.positions.committable()
            if not offsets:
                return False
            self.app.reach("before offsets")
            if not await self._thread.commit(offsets):
                return False
            self.app.reach("after offsets")
            self.positions.committed(offsets)
            return True

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Faust's livelock warnings speak of bookkeeping that is not used here."""


class Transport(driver.Transport):
    """The aiokafka transport with our consumer."""

    Consumer = Consumer
