"""The Faust app: one message is a chunk of records of one partition.

Faust's own path costs a task pair and several awaits for every record. Here the driver's consumer
yields chunks instead, agents stay ordinary (`async for chunk in stream`), and what is committed is
what the handlers acknowledged, never what Faust believes was processed. With `agents.consumers` and
`agents.fetches` built on inner parts of faust-streaming 0.15 and aiokafka 0.14.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import faust
import mode
from faust.app.base import BootStrategy
from faust.serializers.schemas import Schema

from agents.chunks import TP, Assigned, Chunk, Handler, Positions, Revoked
from agents.consumers import Transport

log = logging.getLogger(__name__)

EXIT_UNKNOWN = 70  # an error nobody foresaw: nothing was acknowledged, records come again
EXIT_LATE = 75  # told to stop, and did not manage in time: the same
NEVER_S = 1e8


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
