"""The Faust app, all of it: one message is a chunk of records of one partition.

Faust's own path costs a task pair and several awaits for every record. Here the driver's consumer
yields chunks instead, agents stay ordinary (`async for chunk in stream`), and what is committed is
what the handlers acknowledged, never what Faust believes was processed. Built on inner parts of
faust-streaming 0.15 and aiokafka 0.14.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import faust
import faust.types
import mode
from aiokafka import OffsetAndMetadata, TopicPartition  # type: ignore[import-untyped]
from aiokafka.consumer.fetcher import FetchResult  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    IllegalStateError,
    KafkaConnectionError,
    KafkaError,
)
from faust.app.base import BootStrategy
from faust.exceptions import ConsumerNotStarted
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from agents.arrivals import take_at_once
from agents.chunks import TP, Assigned, Chunk, Handler, Lane, Positions, Revoked
from agents.frames import gather

log = logging.getLogger(__name__)

Fetched = tuple[Lane, int, int, list[Any]]  # position before, position after, records

EXIT_UNKNOWN = 70  # an error nobody foresaw: nothing was acknowledged, records come again
EXIT_LATE = 75  # told to stop, and did not manage in time: the same
IDLE_WAIT_S = 0.25  # how long one look for new records lasts
FULL_WAIT_S = 0.02  # the same while some partition's buffer is full: room may come any moment
NEVER_S = 1e8
FETCH_WAIT_MS = 100  # on the broker; while it waits, no other partition of that broker is asked
FETCH_LEAST = 2**20  # bytes that it waits for: rows that come few at a time cost twice as much


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the app needs to know. Durations in seconds."""

    app_id: str
    brokers: tuple[str, ...]
    credentials: Any = dataclasses.field(default=None, repr=False)  # of `agents.security`
    client_id: str = "driftline"
    session_timeout_s: float = 10.0
    heartbeat_s: float = 2.0
    request_timeout_s: float = 30.0
    commit_s: float = 1.0
    shutdown_s: float = 20.0
    max_chunk_records: int = 5_000
    max_topic_chunks: int = 8  # buffered for one topic's handler
    max_buffer_bytes: int = 64 * 2**20  # of keys and values, over all topics
    fetch_bytes: int = 2**20  # of one partition at a time, as compressed by its producer

    @property
    def rebalance_timeout_s(self) -> float:
        """How long the group waits for its members; joining it is a request that takes as long."""
        return 0.8 * self.request_timeout_s

    @property
    def commit_timeout_s(self) -> float:
        """How long one commit may take."""
        return min(5.0, self.shutdown_s / 4)


def die(code: int) -> NoReturn:
    """End this process at once: no clean-up, no commit."""
    logging.shutdown()
    os._exit(code)


class RawSchema(Schema[Any, Any]):
    """Nothing is decoded here: a decode error would end the agent without a word."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Coroutine[Any, Any, Any]]:
        """A decoder that passes the value on."""

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return app.create_event(None, message.value, None, message)

        return decode


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


class Boot(BootStrategy):
    """Everything but Faust's producer and web server: ours are elsewhere."""

    enable_kafka_producer = False
    enable_web = False


class App(faust.App):
    """A Faust app whose partitions, positions and end are ours."""

    BootStrategy = Boot
    options: Options
    positions: Positions
    assigned: Assigned
    revoked: Revoked
    exit: Callable[[int], object]
    reach: Callable[[str], None]  # told of every step, see `agents.crashes`
    late = False  # told to stop, and left work for others to do again

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Without tables there is nothing to keep in a directory."""

    def _on_rebalance_when_stopped(self) -> None:
        """The consumer closes itself, in its own thread; closing it from here breaks it."""

    async def committed(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where Kafka was told that partitions are to go on. Raises KafkaError."""
        consumer: Any = self._consumer
        found: Mapping[TP, int] = await consumer._thread.committed(tps)
        return found

    async def _stop_consumer(self) -> None:
        consumer: Any = self._consumer
        if consumer is not None:
            self.late = not await consumer.release(self.options.shutdown_s * 0.6)
        await super()._stop_consumer()

    @contextlib.contextmanager
    def fatal(self, doing: str) -> Iterator[None]:
        """What is raised in here ends the process before anything is acknowledged."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException:
            log.critical("unknown error while handling %s; giving up", doing, exc_info=True)
            self.positions.close(self.positions.assigned())
            self.exit(EXIT_UNKNOWN)
            raise


def create_app(
    options: Options,
    handlers: Mapping[str, Handler],
    assigned: Assigned,
    revoked: Revoked,
    exit: Callable[[int], object] = die,
) -> App:
    """A worker's app: each topic's chunks go to its handler, one at a time.

    assigned: called with partitions just given to us, before any of their records is fetched;
    answers where to read each from (None: the committed offset, or the earliest). revoked: called
    before partitions are taken away; what it acknowledges is still committed. Either, or a handler,
    raising anything ends the process with EXIT_UNKNOWN and without acknowledging.
    """
    app = App(options.app_id, **_settings(options))
    app.options = options
    app.positions = Positions(options.max_topic_chunks, options.max_buffer_bytes)
    app.assigned, app.revoked, app.exit = assigned, revoked, exit
    app.reach = lambda _: None
    for topic, handler in handlers.items():
        _register(app, topic, handler)
    return app


def _settings(options: Options) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{broker}" for broker in options.brokers],
        "broker_client_id": options.client_id,
        "broker_credentials": options.credentials,
        "broker_session_timeout": options.session_timeout_s,
        "broker_heartbeat_interval": options.heartbeat_s,
        "broker_request_timeout": options.request_timeout_s,
        "broker_rebalance_timeout": options.rebalance_timeout_s,
        "broker_commit_interval": options.commit_s,
        "broker_max_poll_interval": NEVER_S,  # a slow handler is no reason to leave the group
        "broker_max_poll_records": options.max_chunk_records,
        "consumer_max_fetch_size": options.fetch_bytes,
        "consumer_auto_offset_reset": "earliest",
        "store": "memory://",
        "stream_buffer_maxsize": 4 * options.max_topic_chunks,  # never full: Positions.wanted
        "stream_wait_empty": False,
        "stream_recovery_delay": 0.0,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
    }


def _register(app: App, topic: str, handler: Handler) -> None:
    source = app.topic(topic, schema=RawSchema(), acks=False)

    @app.agent(source, name=topic)
    async def agent(stream: faust.StreamT[Chunk]) -> None:
        async for chunk in stream:
            with app.fatal(f"{topic}/{chunk.partition} from offset {chunk.base}"):
                await app.positions.handle(chunk, handler)


class Worker(mode.Worker):
    """Runs an app in this process until a signal comes; logging is left as it is."""

    def __init__(self, app: App, **options: Any) -> None:
        self.app = app
        super().__init__(app, override_logging=False, quiet=True, **options)

    def install_signal_handlers(self) -> None:
        """SIGINT and SIGTERM stop; the second one at once. (mode would open a debugger on USR2.)"""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.loop.add_signal_handler(number, self._on_stop_signal, number)

    def _on_stop_signal(self, number: signal.Signals) -> None:
        if self._signal_stop_time:
            die(EXIT_LATE)
        timer = threading.Timer(self.app.options.shutdown_s, self._late)
        timer.daemon = True
        timer.start()
        self._schedule_shutdown(number)

    def _late(self) -> None:
        log.error("not stopped within %.0f s: ending at once", self.app.options.shutdown_s)
        self.app.exit(EXIT_LATE)


def run_app(app: App) -> int:
    """Run the app until SIGINT or SIGTERM; answers the exit code. Needs the main thread.

    EXIT_LATE where work was left unfinished.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        Worker(app, loop=loop).execute_from_commandline()
    except SystemExit as end:
        return int(end.code or 0) or (EXIT_LATE if app.late else 0)
