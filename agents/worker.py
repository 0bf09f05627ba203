"""The worker: the stages of one process, put together and run until told to stop."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from aiokafka import TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import IllegalStateError, KafkaError  # type: ignore[import-untyped]
from faust.exceptions import ConsumerNotStarted

from agents import topics
from agents.app import App, Options, create_app, run_app
from agents.beside import share_evenly
from agents.chunks import TP, Chunk, Handler
from agents.context import Context
from agents.counters import Counters
from agents.crashes import from_environment
from agents.gaps import Gaps
from agents.garbage import look_seldom
from agents.health import Health, serve
from agents.inspections import Inspection
from agents.intake import LOOK_S, Intake
from agents.keepers import Core, Keeper, Unfit
from agents.ledger import LedgerCore
from agents.memory import keep_freed
from agents.preparation import prepare
from agents.producers import Producer
from agents.reading import SOURCES
from agents.repeats import Repeats
from agents.rollbacks import Told
from agents.rounds import Job, Rounds, checkpoint, keep_house
from agents.security import faust_credentials, redis_config
from agents.settings import BadSettings, Settings, Stage
from agents.store import Damaged, Limits, Store, TooLarge, connect
from agents.waiting import Outage, pauses
from agents.watch import WatchCore
from stream.clocks import Gap
from stream.envelopes import Newer
from stream.sources import Replaced

log = logging.getLogger(__name__)

MOST_FETCHED = 4 * 2**20
HOUSEKEEPING_S = 10.0  # a slice of what is pending is looked through as often
PART_RECORDS = 250  # between two looks at whether a partition is to be given back, or saved
EXIT_UNFIT = 69  # Kafka or Redis cannot be used: the same as of the commands
UNFIT = (Unfit, Replaced, Gap, Damaged, Newer, TooLarge)  # words explain them better
MAX_VALUE_BYTES = 64 * 2**20
CORES: dict[str, tuple[str, type[LedgerCore] | type[WatchCore]]] = {
    "ledger": ("events", LedgerCore),
    "watch": ("signals", WatchCore),
}


class Worker:
    """The keepers and the intake of one process."""

    def __init__(self, context: Context, stages: Sequence[Stage]) -> None:
        self.context, self.stages = context, stages
        self.intake = Intake(context)
        self.gaps = Gaps(context)
        self.keepers: dict[TP, Keeper] = {}
        self.topics = {context.topic(CORES[s][0]): s for s in stages if s in CORES}
        self.app = self._create_app()

    def _create_app(self) -> App:
        handlers: dict[str, Handler] = dict.fromkeys(self.topics, self._handle)
        if "intake" in self.stages:
            handlers |= {self.context.topic(name): self._take_in for name in SOURCES}
        partitions = sum(self.context.partitions[topic] for topic in handlers)
        options = _options(self.context.settings, partitions)
        app = create_app(options, handlers, self._assigned, self._revoked)
        app.reach = self.context.reach
        self.context.ack = app.positions.ack
        self.context.lost = self._lost
        self.context.ours = lambda tp: bool(app.positions.living([tp]))
        self.context.log_start = self._log_start
        self.context.committed = self._committed
        app.task(self._checkpoints)
        app.task(self._housekeeping)
        if "intake" in self.stages:
            app.task(self._idleness)
        return app

    def inspect(self, health: Health) -> None:
        """Look at itself while it runs."""
        inspection = Inspection(self, health)
        self.app.task(inspection.turn)
        self.app.task(inspection.lag)
        self.app.task(inspection.look)

    async def _assigned(self, tps: set[TP]) -> Mapping[TP, int | None]:
        """Open what is ours now; where each partition is to be read from."""
        starts: dict[TP, int | None] = {}
        committed = await self.context.committed([tp for tp in tps if tp.topic in self.topics])
        for tp in sorted(tps):
            if tp.partition >= self.context.partitions[tp.topic] and tp.topic in self.topics:
                starts[tp] = None  # more than the state was made with: nothing is sent there
            elif tp.topic in self.topics:
                stage = self.topics[tp.topic]
                before = self.keepers.get(tp)
                told = Told(committed.get(tp), before.partition.seq if before else 0)
                keeper = Keeper(self.context, stage, tp, self._core(stage, tp))
                self.keepers[tp] = keeper
                with self._fit():
                    starts[tp] = await keeper.open(told)
            else:
                self.intake.assigned(tp)
                self.gaps.forget(tp)
                starts[tp] = None
        self._show()
        return starts

    def _core(self, stage: Stage, tp: TP) -> Core:
        core: Core = CORES[stage][1](self.context, tp.partition)
        return core

    async def _revoked(self, tps: set[TP]) -> None:
        """Checkpoint what is taken away, and forget it: side by side, time may be short."""
        for tp in tps:
            self.intake.revoked(tp)
        keepers = [self.keepers.pop(tp) for tp in sorted(tps) if tp in self.keepers]
        self._show()
        with self._fit():
            await asyncio.gather(*(keeper.close() for keeper in keepers))

    def _show(self) -> None:
        for stage in CORES:
            owned = sum(keeper.stage == stage for keeper in self.keepers.values())
            self.context.counters.partitions.labels(stage).set(owned)

    async def _handle(self, chunk: Chunk) -> None:
        keeper = self.keepers.get(chunk.tp)
        if keeper is not None:
            with self._fit():
                for part in chunk.parts(PART_RECORDS):
                    await keeper.handle(part.records, part.base, part.next)
                await keeper.work()

    async def _take_in(self, chunk: Chunk) -> None:
        with self._fit():
            await self.gaps.check(chunk)
            await self.intake.handle(chunk)

    @contextlib.contextmanager
    def _fit(self) -> Iterator[None]:
        """What cannot be helped here ends the process with words, and nothing is acknowledged."""
        try:
            yield
        except UNFIT as error:
            log.critical("this worker cannot go on: %s", error)
            self.app.positions.close(self.app.positions.assigned())
            self.app.exit(EXIT_UNFIT)
            raise

    def _lost(self, tp: tuple[str, int]) -> None:
        """Somebody else claimed a partition: claim it again, if the group still says it is ours."""
        loop = asyncio.get_running_loop()
        delay_s = self.context.settings.kafka.heartbeat_s
        loop.call_later(delay_s, self._reopen, TP(*tp))

    def _reopen(self, tp: TP) -> None:
        if tp in self.keepers and self.keepers[tp].refused:
            self.app.positions.reopen([tp])

    async def _checkpoints(self) -> None:
        """Once in a while make everything durable."""
        await self._rounds("checkpoints", self.context.settings.worker.checkpoint_s, checkpoint)

    async def _housekeeping(self) -> None:
        """Slice by slice, look after what has grown old."""
        await self._rounds("housekeeping", HOUSEKEEPING_S, keep_house)

    async def _rounds(self, doing: str, pause_s: float, job: Job) -> None:
        async def carefully(keeper: Keeper) -> None:
            with self.app.fatal(doing), self._fit():
                await job(keeper)

        rounds = Rounds(carefully)
        while not self.app.should_stop:
            await asyncio.sleep(pause_s)
            rounds.begin(self.keepers.values())

    async def _idleness(self) -> None:
        while not self.app.should_stop:
            await asyncio.sleep(LOOK_S)
            with self.app.fatal("idle source partitions"), self._fit():
                await self.intake.tell_idle(await self._read_up(self.intake.taken))

    async def _read_up(self, tps: Iterable[TP]) -> set[TP]:
        """Those of the partitions of which nothing is left to read, and nothing is in hand."""
        lanes = {tp: self.app.positions.lane(tp) for tp in tps}
        ready = [tp for tp, lane in lanes.items() if lane and lane.ready and lane.live]
        try:
            ends = await self.app.consumer.highwaters(*map(_key, ready)) if ready else {}
            positions = {tp: await self.app.consumer.position(_key(tp)) for tp in ready}
        except (KafkaError, IllegalStateError, ConsumerNotStarted) as error:
            log.info("not known which source partitions are idle: %r", error)
            return set()
        return {
            tp
            for tp, position in positions.items()
            if position is not None and position >= ends[_key(tp)] and not self._in_hand(tp)
        }

    def _in_hand(self, tp: TP) -> bool:
        lane = self.app.positions.lane(tp)
        return lane is None or lane.chunks > 0

    async def _committed(self, tps: Collection[TP]) -> Mapping[TP, int]:
        """A hint, so that not getting it is no failure."""
        try:
            return await self.app.committed(tps)
        except KafkaError as error:
            log.warning("not known where the group was: %r", error)
            return {}

    async def _log_start(self, tp: TP) -> int:
        """However long Kafka is away."""
        with Outage("Kafka, asked where a log begins,").call() as failed:
            for pause_s in pauses():
                try:
                    return int((await self.app.consumer.earliest_offsets(_key(tp)))[_key(tp)])
                except KafkaError as error:
                    failed(repr(error))
                await asyncio.sleep(pause_s)
        raise AssertionError("pauses never end")


def _key(tp: TP) -> TopicPartition:
    return TopicPartition(*tp)


def _fetch_bytes(settings: Settings, partitions: int) -> int:
    """Of one partition at a time: what is read together is cheaper; the largest record must fit.

    All that is fetched ahead stays within what may be buffered, unless there are very many.
    """
    least = settings.limits.max_bytes + topics.OWN_BYTES
    return max(least, min(MOST_FETCHED, settings.worker.max_buffer_bytes // partitions))


def _options(settings: Settings, partitions: int) -> Options:
    kafka, worker = settings.kafka, settings.worker
    return Options(
        app_id=kafka.group_id,
        brokers=kafka.brokers,
        credentials=faust_credentials(kafka),
        session_timeout_s=kafka.session_timeout_s,
        heartbeat_s=kafka.heartbeat_s,
        request_timeout_s=kafka.request_timeout_s,
        commit_s=kafka.commit_s,
        shutdown_s=worker.shutdown_s,
        max_chunk_records=worker.max_chunk_records,
        max_buffer_bytes=worker.max_buffer_bytes,
        fetch_bytes=_fetch_bytes(settings, partitions),
    )


def _serve(settings: Settings, health: Health, counters: Counters) -> Callable[[], object]:
    """Answer about health and counters; a function that ends it. Raises BadSettings."""
    http = settings.http
    if not http.port:
        return lambda: None
    try:
        return serve(http.host, http.port, health, counters.registry)
    except OSError as error:
        raise BadSettings(
            f"http.port = {http.port}: cannot listen on {http.host}: {error.strerror}; choose "
            "another, or 0 for none"
        ) from error


def run(settings: Settings, stages: Sequence[Stage]) -> None:
    """Run the stages until SIGTERM or SIGINT, then leave the process.

    Raises BadSettings, Unusable or ConnectionError where it cannot begin.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Repeats())
    reach = from_environment(os.environ)
    counts, ids, found = asyncio.run(prepare(settings))
    counters, health = Counters(), Health()
    for loss in found.lost:
        counters.given_up.labels(loss.topic).inc(loss.records)
    end = _serve(settings, health, counters)
    client = connect(**redis_config(settings.redis))
    limits = Limits(value_bytes=MAX_VALUE_BYTES)
    store = Store(client, settings.redis.key_prefix, limits, reach)
    producer = Producer(
        settings.kafka,
        delivery_s=settings.kafka.request_timeout_s,
        max_message_bytes=topics.max_message_bytes(settings),
        told=counters.kafka_outages.inc,
    )
    context = Context(settings, store, producer, counters, counts, ids, reach=reach)
    share_evenly()
    worker = Worker(context, stages)
    worker.inspect(health)
    look_seldom()
    keep_freed()
    code = run_app(worker.app)
    end()
    sys.exit(code)
