"""The bridge: a reference consumer, from Driftline's topics to a sink, each event once in order.

An offset is committed after its event was delivered (or became a dead letter), so a crash repeats
at most one event. Driftline itself may publish an event twice; its id is the same, and the ids of
the newest records before the committed offset are read again at the start to know them.
"""

import dataclasses
import logging
import random
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

import confluent_kafka as ck
import msgspec

from agents.chunks import TP
from agents.letters import told
from agents.security import kafka_config
from agents.settings import Settings
from agents.sinks import Event, Refused, Sink, Unreachable

log = logging.getLogger(__name__)

WINDOW = 1_000  # records before the committed offset whose ids are remembered
IDS = 20_000  # ids that are remembered in all
LOOK_S = 0.2
ADMIN_S = 15.0
PREFIX = "ce_"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """group: of consumers, so that each event goes to one of several bridges of the same name.

    new_only: a bridge that starts for the first time leaves out what is already there.
    patience_s: after so long without success an event becomes a dead letter.
    first_s, last_s: the pause after the first failure and the longest one, before jitter.
    """

    topics: Sequence[str]
    group: str
    new_only: bool = False
    patience_s: float = 86_400.0
    first_s: float = 0.5
    last_s: float = 60.0


class Ids:
    """The newest ids that were seen, at most `most`."""

    def __init__(self, most: int = IDS) -> None:
        self.most = most
        self._seen: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, one: str) -> bool:
        return one in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, one: str) -> None:
        """Remember an id; the oldest one is forgotten where there are too many."""
        self._seen[one] = None
        self._seen.move_to_end(one)
        if len(self._seen) > self.most:
            self._seen.popitem(last=False)


@dataclasses.dataclass(slots=True)
class Record:
    """A record as a dead letter needs it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def event_of(message: ck.Message) -> Event:
    """The event of a record: attributes from its headers, else from its JSON. Raises Refused."""
    headers = _headers(message)
    value = message.value() or b""
    attributes = {
        name.removeprefix(PREFIX): (raw or b"").decode("utf-8", "replace")
        for name, raw in headers
        if name.startswith(PREFIX)
    }
    if "id" not in attributes:
        try:
            document = msgspec.json.decode(value)
            attributes |= {n: str(document[n]) for n in ("id", "type", "time") if n in document}
        except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError) as error:
            raise Refused(f"not an event: {error}") from None
    if not attributes.get("id"):
        raise Refused("not an event: it has no id")
    return Event(message.topic() or "", value, attributes)


class Bridge:
    """Consumes until told to stop. counts: what became of events, by outcome."""

    def __init__(
        self, settings: Settings, sink: Sink, plan: Plan, dice: random.Random | None = None
    ) -> None:
        self.sink, self.plan = sink, plan
        self.topics = [settings.topics.name(topic) for topic in plan.topics]
        self.dead_letters = settings.topics.name("dead-letters")
        self.ids = Ids()
        self.counts = {"delivered": 0, "repeated": 0, "refused": 0}
        self._dice = dice or random.Random()
        self._stop = threading.Event()
        self._next: dict[TP, int] = {}  # the first offset that is to be delivered; ours are here
        self._held: deque[ck.Message] = deque()  # what came while an event was tried again
        self._resting = False
        config = kafka_config(settings.kafka)
        self._consumer = ck.Consumer(
            config
            | {
                "group.id": plan.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": round(settings.kafka.session_timeout_s * 1_000),
                "topic.metadata.refresh.interval.ms": 10_000,
                "allow.auto.create.topics": False,
                "error_cb": _say,
                "log_level": 2,
            }
        )
        self._producer = ck.Producer(
            config
            | {"enable.idempotence": True, "linger.ms": 0, "error_cb": _say, "log_level": 2}
            | {"message.max.bytes": 2 * 2**20}
        )

    def stop(self) -> None:
        """End `run` soon; safe from any thread and from a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Deliver until stopped. Raises ConnectionError where Kafka cannot be used at all."""
        self._consumer.subscribe(self.topics, on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not self._stop.is_set():
                message = self._held.popleft() if self._held else self._consumer.poll(LOOK_S)
                if message is not None:
                    self._take(message)
        except ck.KafkaException as error:
            raise ConnectionError(f"Kafka does not answer: {error.args[0].str()}") from error
        finally:
            self._consumer.close()
            self.sink.close()

    def _take(self, message: ck.Message) -> None:
        if error := message.error():
            if error.fatal():
                raise ConnectionError(f"Kafka: {error.str()}")
            log.warning("Kafka: %s", error.str())
            return
        tp, offset = TP(message.topic() or "", message.partition() or 0), message.offset() or 0
        if tp not in self._next:
            return
        try:
            event = event_of(message)
        except Refused as refused:
            outcome = "" if offset < self._next[tp] else self._refuse(message, str(refused))
        else:
            outcome = self._outcome(message, event, known=offset < self._next[tp])
        if outcome and self._next.get(tp, offset + 1) <= offset:
            self._next[tp] = offset + 1
            self._commit(tp, offset + 1)
            self.counts[outcome] += 1

    def _outcome(self, message: ck.Message, event: Event, *, known: bool) -> str:
        """What became of an event; "" where it is not ours to say."""
        one = event.attributes["id"]
        if known:
            self.ids.add(one)
            return ""
        if one in self.ids:
            return "repeated"
        outcome = self._deliver(message, event)
        if outcome:
            self.ids.add(one)
        return outcome

    def _deliver(self, message: ck.Message, event: Event) -> str:
        """Try until it is delivered or refused; "" where it was taken from us, or we stop."""
        pause_s, since = self.plan.first_s, time.monotonic()
        while True:
            try:
                self.sink.deliver(event)
                return "delivered"
            except Refused as refused:
                return self._refuse(message, str(refused))
            except Unreachable as error:
                if time.monotonic() - since > self.plan.patience_s:
                    return self._refuse(message, f"given up: {error}")
                wait_s = max(error.after_s, pause_s * self._dice.uniform(0.5, 1.0))
                log.warning("trying again in %.1f s: %s", wait_s, error)
            if not self._rest(wait_s, message):
                return ""
            pause_s = min(2 * pause_s, self.plan.last_s)

    def _rest(self, wait_s: float, message: ck.Message) -> bool:
        """Wait as a live member of the group; whether the message is still ours."""
        tp = TP(message.topic() or "", message.partition() or 0)
        end, mine = time.monotonic() + wait_s, self._next.get(tp)
        self._resting = True
        self._consumer.pause(self._consumer.assignment())
        try:
            while (left_s := end - time.monotonic()) > 0 and not self._stop.is_set():
                found = self._consumer.poll(min(left_s, LOOK_S))
                if found is not None and not found.error():
                    self._held.append(found)
                if self._next.get(tp) != mine:
                    return False
        finally:
            self._resting = False
            self._consumer.resume(self._consumer.assignment())
        return not self._stop.is_set()

    def _refuse(self, message: ck.Message, words: str) -> str:
        """Make it a dead letter, however long Kafka takes; "" where we stop before it has it."""
        log.error("%s/%s: %s", message.topic(), message.partition(), words)
        where = (message.topic() or "", message.partition() or 0)
        headers = list(told(_record(message), where, "sink-refused", words))
        pause_s = self.plan.first_s
        while True:
            failures: list[ck.KafkaError] = []
            self._producer.produce(
                self.dead_letters,
                message.value(),
                message.key(),
                headers=headers,  # type: ignore[arg-type]
                on_delivery=_note(failures),
            )
            if self._producer.flush(30.0) == 0 and not failures:
                return "refused"
            self._producer.purge()
            self._producer.flush(1.0)
            log.error("Kafka does not take a dead letter: %s", failures[:1])
            if not self._rest(pause_s, message):
                return ""
            pause_s = min(2 * pause_s, self.plan.last_s)

    def _commit(self, tp: TP, offset: int) -> None:
        """A failed commit is no harm: the next one says it too, and ids know what is repeated."""
        try:
            self._consumer.commit(offsets=[ck.TopicPartition(*tp, offset)], asynchronous=False)
        except ck.KafkaException as error:
            log.warning("not committed: %s", error.args[0].str())

    def _assigned(self, consumer: ck.Consumer, parts: list[ck.TopicPartition]) -> None:
        """Begin before the committed offset, so that the ids of the records there are known."""
        starts = []
        for part in consumer.committed(parts, timeout=ADMIN_S):
            tp = TP(part.topic, part.partition)
            low, high = consumer.get_watermark_offsets(part, timeout=ADMIN_S)
            if part.offset < 0:
                self._next[tp] = high if self.plan.new_only else low
                self._commit(tp, self._next[tp])  # or else a crash would move it
            else:
                self._next[tp] = part.offset if low <= part.offset <= high else low
            starts.append(ck.TopicPartition(*tp, max(low, self._next[tp] - WINDOW)))
        consumer.assign(starts)
        if self._resting:
            consumer.pause(starts)

    def _revoked(self, _: ck.Consumer, parts: list[ck.TopicPartition]) -> None:
        gone = {TP(part.topic, part.partition) for part in parts}
        for tp in gone:
            self._next.pop(tp, None)
        self._held = deque(m for m in self._held if (m.topic(), m.partition()) not in gone)


def _note(failures: list[ck.KafkaError]) -> Callable[[ck.KafkaError | None, ck.Message], None]:
    def note(error: ck.KafkaError | None, _: ck.Message) -> None:
        if error is not None:
            failures.append(error)

    return note


def _headers(message: ck.Message) -> list[tuple[str, bytes | None]]:
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(n, v.encode() if isinstance(v, str) else v) for n, v in pairs]


def _record(message: ck.Message) -> Record:
    return Record(
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        _headers(message),
    )


def _say(error: ck.KafkaError) -> None:
    log.warning("Kafka: %s", error.str())
