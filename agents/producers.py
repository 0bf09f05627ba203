"""Producing to Kafka from asyncio: in order, waiting for every delivery report.

One idempotent librdkafka producer (acks=all) for the whole process; its reports are served by a
thread of its own, so nothing here blocks the event loop.
"""

import asyncio
import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import confluent_kafka as ck

from agents.security import Kafka, kafka_config
from agents.waiting import Outage, Told, nobody, pauses

log = logging.getLogger(__name__)

POLL_S = 0.2  # how long the reporting thread sleeps at most before it looks whether it is to end
BREATH = 500  # messages handed over between two turns of the event loop
FULL_S = 0.01  # librdkafka's buffer is full: reports are under way
HOPELESS = frozenset(  # the same message would fail again
    {
        ck.KafkaError.MSG_SIZE_TOO_LARGE,
        ck.KafkaError._INVALID_ARG,
        ck.KafkaError._UNKNOWN_PARTITION,
        ck.KafkaError.INVALID_RECORD,
        ck.KafkaError.RECORD_LIST_TOO_LARGE,
        ck.KafkaError.TOPIC_EXCEPTION,
    }
)
BROKEN = ck.KafkaError(ck.KafkaError._PURGE_QUEUE)


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One record to be. Without a partition, the key decides as in Java's client (murmur2)."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class DeliveryFailed(Exception):
    """A message was not acknowledged. `sent` messages before it were; later ones may be.

    hopeless: sending the same again cannot help.
    """

    def __init__(self, error: ck.KafkaError, sent: int) -> None:
        super().__init__(f"{error.name()}: {error.str()} ({sent} delivered before it)")
        self.error = error
        self.sent = sent
        self.hopeless = error.code() in HOPELESS


class _Reports:
    """The delivery reports of one call. `report` runs in the reporting thread."""

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.failed: tuple[int, ck.KafkaError] | None = None
        self._lock = threading.Lock()
        self._open = 1  # the call itself, until all is handed over

    def expect(self) -> None:
        """One more message is handed over."""
        with self._lock:
            self._open += 1

    def report(self, number: int, error: ck.KafkaError | None, _: Any = None) -> None:
        """One message (its number in the call) was delivered or not."""
        if error is not None:
            self.loop.call_soon_threadsafe(self._on_failure)
        self.settle(number, error)

    def settle(self, number: int, error: ck.KafkaError | None) -> None:
        """The same for a message that never got into the queue."""
        with self._lock:
            if error is not None and (self.failed is None or number < self.failed[0]):
                self.failed = (number, error)
            self._open -= 1
            last = self._open == 0
        if last:
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Handle:
    """One librdkafka producer and the thread that serves its reports."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.producer = ck.Producer(dict(config))
        self.broken = False
        self._ending = False
        self._thread = threading.Thread(target=self._serve, name="kafka-reports", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ending or len(self.producer):
            try:
                self.producer.poll(POLL_S)
            except ck.KafkaException as error:  # a fatal one is raised here, not called back
                log.warning("Kafka producer is replaced: %s", error.args[0].str())
                self.fail()

    def fail(self) -> None:
        """Give up what is queued: their reports say so, and another producer takes over."""
        if not self.broken:
            self.broken = True
            self._ending = True
            self.producer.purge()

    def close(self, limit_s: float) -> None:
        """Deliver what is queued, for at most limit_s seconds. Blocks."""
        self._ending = True
        self._thread.join(limit_s)
        if self._thread.is_alive():
            self.producer.purge()
            self._thread.join(1.0)


class Producer:
    """Delivers messages to Kafka. Belongs to one event loop; calls may run side by side."""

    def __init__(
        self,
        kafka: Kafka | Sequence[str],
        client_id: str = "driftline",
        delivery_s: float = 30.0,
        max_message_bytes: int = 1_000_000,
        told: Told = nobody,
        **overrides: Any,
    ) -> None:
        """kafka: the settings; addresses alone are those of a Kafka without security.

        delivery_s: how long one attempt may take, and so how long a connection may be silent.
        told: called for every attempt of `deliver` that failed. overrides: librdkafka properties.
        """
        self._told, self._outage = told, Outage("Kafka, producing,")
        self._config = kafka_config(kafka) | {
            "client.id": client_id,
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,  # without: what was under way overtakes a failure
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "delivery.timeout.ms": int(delivery_s * 1_000),
            "message.max.bytes": max_message_bytes,
            "queue.buffering.max.kbytes": 64 * 1_024,
            "error_cb": say,
            "logger": log,
        }
        self._config |= {name.replace("_", "."): value for name, value in overrides.items()}
        self._handle: Handle | None = None

    async def produce_all(self, messages: Sequence[Message]) -> None:
        """Deliver all, in order within each partition; raises DeliveryFailed at the first failure.

        After a failure nothing more of this call is handed over, and what was queued is given up,
        also that of calls beside it (which then fail too): no later message overtakes.
        """
        handle = self._live()
        reports = _Reports(handle.fail)
        handed = await self._hand_over_all(handle, messages, reports)
        reports.settle(handed, None if handed == len(messages) else BROKEN)
        await reports.done
        if reports.failed is not None:
            number, error = reports.failed
            if error.fatal():
                handle.fail()
            raise DeliveryFailed(error, number)

    async def _hand_over_all(
        self, handle: Handle, messages: Sequence[Message], reports: _Reports
    ) -> int:
        for number, message in enumerate(messages):
            if handle.broken or reports.failed is not None:
                return number
            reports.expect()
            try:
                await self._hand_over(handle, message, functools.partial(reports.report, number))
            except ck.KafkaException as failure:
                reports.settle(number, failure.args[0])
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        return len(messages)

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Deliver all however long Kafka is away; raises DeliveryFailed only where it is hopeless.

        Tries again from the first message that failed, so that some may arrive twice.
        """
        with self._outage.call(self._told) as failed:
            for pause_s in pauses():
                try:
                    return await self.produce_all(messages)
                except DeliveryFailed as failure:
                    if failure.hopeless:
                        raise
                    failed(failure)
                    messages = messages[failure.sent :]
                await asyncio.sleep(pause_s)
        return None

    async def _hand_over(
        self, handle: Handle, message: Message, report: Callable[..., None]
    ) -> None:
        where: dict[str, Any] = {"on_delivery": report, "headers": list(message.headers)}
        if message.partition is not None:
            where["partition"] = message.partition
        while True:
            try:
                return handle.producer.produce(message.topic, message.value, message.key, **where)
            except BufferError:
                await asyncio.sleep(FULL_S)

    def _live(self) -> Handle:
        if self._handle is None or self._handle.broken:
            self._handle = Handle(self._config)
        return self._handle

    async def close(self, limit_s: float = 5.0) -> None:
        """Deliver what is queued, for at most limit_s seconds; the rest is given up."""
        if self._handle is not None:
            await asyncio.to_thread(self._handle.close, limit_s)
            self._handle = None


def _quiet(record: logging.LogRecord) -> bool:
    """Drops librdkafka's remark that gap-less producing is experimental."""
    return "CONFWARN" not in record.getMessage()


log.addFilter(_quiet)


def say(error: ck.KafkaError) -> None:
    """For `error_cb`: what librdkafka meets, such as a broker that is away."""
    log.warning("Kafka producer: %s", error.str())
