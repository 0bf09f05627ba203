"""The worker: the stages of one process, put together and run until told to stop."""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence

from agents.app import App, Options, create_app, run_app
from agents.chunks import TP, Chunk, Handler
from agents.clusters import Cluster
from agents.context import Context
from agents.counters import Counters
from agents.intake import IDLE_S, SOURCES, Intake
from agents.keepers import Core, Keeper
from agents.ledger import LedgerCore
from agents.producers import Producer
from agents.settings import TOPICS, Settings, Stage
from agents.store import Limits, Store, connect
from agents.watch import WatchCore

log = logging.getLogger(__name__)

LARGE = {"max.message.bytes": str(2 * 2**20)}  # a record as large as a topic takes, and headers
COMPACT_FOREVER = {"retention.ms": "-1"}
TOPIC_CONFIGS: dict[str, dict[str, str]] = {
    "events": LARGE,
    "signals": LARGE,
    "dead-letters": LARGE,
    "control": COMPACT_FOREVER,
}
CORES: dict[str, tuple[str, type[LedgerCore] | type[WatchCore]]] = {
    "ledger": ("events", LedgerCore),
    "watch": ("signals", WatchCore),
}


class Worker:
    """The keepers and the intake of one process."""

    def __init__(self, context: Context, stages: Sequence[Stage]) -> None:
        self.context, self.stages = context, stages
        self.intake = Intake(context)
        self.keepers: dict[TP, Keeper] = {}
        self.topics = {context.topic(CORES[s][0]): s for s in stages if s in CORES}
        self.app = self._create_app()

    def _create_app(self) -> App:
        handlers: dict[str, Handler] = dict.fromkeys(self.topics, self._handle)
        if "intake" in self.stages:
            handlers |= {self.context.topic(name): self.intake.handle for name in SOURCES}
        app = create_app(_options(self.context.settings), handlers, self._assigned, self._revoked)
        self.context.ack = app.positions.ack
        self.context.lost = self._lost
        app.task(self._checkpoints)
        if "intake" in self.stages:
            app.task(self._idleness)
        return app

    async def _assigned(self, tps: set[TP]) -> Mapping[TP, int | None]:
        """Open what is ours now; where each partition is to be read from."""
        starts: dict[TP, int | None] = {}
        for tp in sorted(tps):
            if tp.topic in self.topics:
                stage = self.topics[tp.topic]
                keeper = Keeper(self.context, stage, tp, self._core(stage, tp))
                self.keepers[tp] = keeper
                starts[tp] = await keeper.open()
            else:
                self.intake.assigned(tp)
                starts[tp] = None
        self._show()
        return starts

    def _core(self, stage: Stage, tp: TP) -> Core:
        core: Core = CORES[stage][1](self.context, tp.partition)
        return core

    async def _revoked(self, tps: set[TP]) -> None:
        """Checkpoint what is taken away, and forget it."""
        for tp in sorted(tps):
            keeper = self.keepers.pop(tp, None)
            if keeper is not None:
                await keeper.close()
            self.intake.revoked(tp)
        self._show()

    def _show(self) -> None:
        for stage in CORES:
            owned = sum(keeper.stage == stage for keeper in self.keepers.values())
            self.context.counters.partitions.labels(stage).set(owned)

    async def _handle(self, chunk: Chunk) -> None:
        keeper = self.keepers.get(chunk.tp)
        if keeper is not None:
            await keeper.handle(chunk.records, chunk.base, chunk.next)

    def _lost(self, tp: tuple[str, int]) -> None:
        """Somebody else claimed a partition: claim it again, if the group still says it is ours."""
        loop = asyncio.get_running_loop()
        delay_s = self.context.settings.kafka.heartbeat_s
        loop.call_later(delay_s, self._reopen, TP(*tp))

    def _reopen(self, tp: TP) -> None:
        if tp in self.keepers and not self.keepers[tp].live:
            self.app.positions.reopen([tp])

    async def _checkpoints(self) -> None:
        """Once in a while make everything durable."""
        while not self.app.should_stop:
            await asyncio.sleep(self.context.settings.worker.checkpoint_s)
            with self.app.fatal("checkpoints"):
                for keeper in list(self.keepers.values()):
                    await keeper.checkpoint()

    async def _idleness(self) -> None:
        while not self.app.should_stop:
            await asyncio.sleep(IDLE_S)
            with self.app.fatal("idle source partitions"):
                await self.intake.tell_idle()


def _options(settings: Settings) -> Options:
    kafka, worker = settings.kafka, settings.worker
    return Options(
        app_id=kafka.group_id,
        brokers=kafka.brokers,
        session_timeout_s=kafka.session_timeout_s,
        heartbeat_s=kafka.heartbeat_s,
        request_timeout_s=kafka.request_timeout_s,
        commit_s=kafka.commit_s,
        shutdown_s=worker.shutdown_s,
        max_chunk_records=worker.max_chunk_records,
        max_buffer_bytes=worker.max_buffer_bytes,
        fetch_bytes=settings.limits.max_bytes + 2**20,
    )


async def _prepare(settings: Settings) -> tuple[dict[str, int], dict[str, str]]:
    """Check Redis, make the topics that are missing; their partitions and identities."""
    client = connect(settings.redis.url.get_secret_value())
    try:
        await Store(client, settings.redis.key_prefix).check()
    finally:
        await client.aclose()
    cluster = Cluster(settings.kafka.brokers)
    t = settings.topics
    if t.create:
        for name in TOPICS:
            config = TOPIC_CONFIGS.get(name)
            await cluster.ensure_topics([t.name(name)], t.partitions, t.replication_factor, config)
    names = [t.name(name) for name in TOPICS]
    counts = {name: await cluster.partition_count(name) for name in names}
    return counts, {name: await cluster.topic_id(name) for name in names}


def run(settings: Settings, stages: Sequence[Stage]) -> None:
    """Run the stages until SIGTERM or SIGINT, then leave the process.

    Raises Unusable, ConnectionError or LookupError where Redis or Kafka cannot be used.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    counts, ids = asyncio.run(_prepare(settings))
    counters = Counters()
    http = settings.http
    end = counters.serve(http.host, http.port) if http.port else lambda: None
    client = connect(settings.redis.url.get_secret_value())
    limits = Limits(value_bytes=64 * 2**20)
    store = Store(client, settings.redis.key_prefix, limits)
    producer = Producer(settings.kafka.brokers, max_message_bytes=int(LARGE["max.message.bytes"]))
    worker = Worker(Context(settings, store, producer, counters, counts, ids), stages)
    code = run_app(worker.app)
    end()
    sys.exit(code)
