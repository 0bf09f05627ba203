"""Tail: what Driftline publishes, as lines for people or as JSON for programs."""

import base64
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import confluent_kafka as ck
import msgspec

from agents.clusters import ADMIN_S
from agents.contests import contest_lines
from agents.findings import MOST_SEGMENTS
from agents.scorecards import scorecard
from agents.security import kafka_config
from agents.settings import Settings
from agents.show import STATES, sureness
from agents.store import Unusable
from stream import figures
from stream.events import Alert, Disparity, Evaluation, RetrainRequest, rfc3339
from stream.stamps import day

MOST = 500  # records of one read
POLL_S = 0.5
MAX_CHARS = 200  # of a dead letter's value
NOTHING_S = 10.0  # records that should be there and do not come


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record as Kafka has it. time_ms: its Kafka timestamp, -1 where it has none."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


class Tail:
    """Reads one topic without joining a group: nobody else misses anything by it."""

    def __init__(self, settings: Settings, topic: str, *, beginning: bool) -> None:
        """Raises ConnectionError where no broker answers, Unusable without the topic."""
        self.name = settings.topics.name(topic)
        self._consumer = ck.Consumer(
            kafka_config(settings.kafka)
            | {
                "group.id": f"{settings.kafka.group_id}-tail",
                "enable.auto.commit": False,
                "log_level": 3,
            }
        )
        try:
            self._assign(beginning)
        except ck.KafkaException as error:
            self.close()
            raise ConnectionError(f"Kafka does not answer: {error.args[0].str()}") from error

    def _assign(self, beginning: bool) -> None:
        found = self._consumer.list_topics(self.name, timeout=ADMIN_S).topics[self.name]
        if not found.partitions:
            self.close()
            raise Unusable(
                f"no topic {self.name!r} in Kafka; `driftline worker` makes it, or"
                " `driftline topics create`"
            )
        self._ends: dict[int, int] = {}
        at = []
        for number in sorted(found.partitions):
            tp = ck.TopicPartition(self.name, number)
            first, self._ends[number] = self._consumer.get_watermark_offsets(tp, timeout=ADMIN_S)
            start = first if beginning else self._ends[number]
            if start >= self._ends[number]:
                del self._ends[number]  # nothing there that must be read
            at.append(ck.TopicPartition(self.name, number, start))
        self._consumer.assign(at)

    def read(self, timeout_s: float = POLL_S) -> list[Record]:
        """What comes within a time. Raises ConnectionError."""
        found = []
        for message in self._consumer.consume(MOST, timeout_s):
            if error := message.error():
                raise ConnectionError(f"Kafka does not answer: {error.str()}")
            found.append(_record(message))
            self._seen(message.partition() or 0, message.offset() or 0)
        return sorted(found, key=lambda record: (record.time_ms, record.partition, record.offset))

    def _seen(self, partition: int, offset: int) -> None:
        if offset + 1 >= self._ends.get(partition, 0):
            self._ends.pop(partition, None)

    @property
    def complete(self) -> bool:
        """Whether all that was there at the start has been read."""
        return not self._ends

    def all(self, *, follow: bool, nothing_s: float = NOTHING_S) -> Iterator[Record]:
        """What is there, and with `follow` what comes, for ever."""
        moved_s = time.monotonic()
        while follow or not self.complete:
            found = self.read()
            yield from found
            if found:
                moved_s = time.monotonic()
            elif not follow and time.monotonic() - moved_s > nothing_s:
                return  # what is left are holes that Kafka makes: aborted or compacted records

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def _record(message: ck.Message) -> Record:
    given: Any = message.headers() or []
    headers = {name: _bytes(value) for name, value in given}
    _, time_ms = message.timestamp()
    key, value = message.key(), message.value()
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        time_ms,
        None if key is None else _bytes(key),
        None if value is None else _bytes(value),
        headers,
    )


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value or b"")


# as lines for people


def alert_text(alert: Alert) -> str:
    """What changed, how sure that is, and for one that fires what to do."""
    word = STATES[alert.state][0].upper()
    whose = "" if alert.summary.startswith(alert.model) else f"{alert.model} {alert.version}: "
    lines = [f"{day(alert.window.end)}  {word:8}  {alert.severity:6}  {whose}{alert.summary}"]
    if alert.state == "firing":
        lines += [f"    {sureness(alert)}", f"    {alert.meaning} {alert.action}"]
    else:
        lines.append(f"    {alert.reason}")
    return "\n".join(lines)


def request_text(request: RetrainRequest) -> str:
    """What is asked, why, and where the data lies."""
    places = [f"{r.topic}[{r.partition}] {r.first}-{r.last}" for r in request.data.offsets]
    more = f" and {len(places) - 4} more" if places[4:] else ""
    return "\n".join(
        (
            f"{day(request.time)}  RETRAIN   {request.priority:6}  {request.model}"
            f" {request.version}: {request.reason}",
            f"    {request.verdict.kind}: {request.verdict.meaning}",
            f"    {request.labelled_rows:,} labelled rows from {request.data.start} to"
            f" {request.data.end}: {', '.join(places[:4])}{more}",
            f"    by {request.deadline}; request {request.id}",
        )
    )


def evaluation_text(found: Evaluation) -> str:
    """One line a window, one for each reading that is not as it should be, and its scorecard."""
    head = (
        f"{day(found.window.start)} to {day(found.window.end)}  {found.model} {found.version}"
        f"  {found.subject:9} {found.rows:>8,} rows"
    )
    if found.window.revision:
        head += f", revision {found.window.revision}"
    bad = [r for r in found.readings if r.verdict == "moved"]
    fine = len(found.readings) - len(bad)
    said = f"{len(bad)} moved, {fine} not" if found.readings else "nothing to judge"
    if found.retrained:
        said = found.verdict.kind
    apart = [r for r in found.segments if r.verdict == "moved"]
    if found.segments:
        several = len({(r.segment.name, r.segment.value) for r in found.segments if r.segment})
        said += f"; {len(apart)} in {several} segments"
    lines = [f"{head}  {said}"]
    lines += [f"    {reading.reason}" for reading in [*bad, *apart[:MOST_SEGMENTS]]]
    if apart[MOST_SEGMENTS:]:
        lines.append(f"    and {len(apart) - MOST_SEGMENTS} more of segments")
    lines += [f"    {one}" for one in scorecard(found, day)]
    lines += [f"    {disparity_text(one)}" for one in found.disparities]
    lines += [f"    {found.recalibrated.reason}"] if found.recalibrated else []
    lines += [f"    {one}" for one in contest_lines(found.beside or [], found.version)]
    lines += [f"    note: {note}" for note in found.notes]
    return "\n".join(lines)


def disparity_text(found: Disparity) -> str:
    """A gap between groups, and where each of them is."""
    groups = [f"{one.group} {figures.number(one.value)}" for one in found.groups]
    ends = f"{figures.number(found.low)} to {figures.number(found.high)}"
    return (
        f"{found.metric} by {found.segment}: {figures.number(found.value)} ({ends}):"
        f" {figures.listed(groups, MOST_SEGMENTS)}"
    )


def letter_text(record: Record) -> str:
    """Why a record was refused, where it came from, and how it begins."""
    told = {name: text(value) for name, value in record.headers.items()}
    where = f"{told.get('driftline-topic', '?')}[{told.get('driftline-partition', '?')}]"
    value = text(record.value or b"")
    shown = value if len(value) <= MAX_CHARS else f"{value[:MAX_CHARS]}... ({len(value):,})"
    return "\n".join(
        (
            f"{day(rfc3339(max(0, record.time_ms)))}  {told.get('driftline-reason', '?')}:"
            f" {told.get('driftline-error', '')}",
            f"    {where} offset {told.get('driftline-offset', '?')}: {shown}",
        )
    )


def letter_json(record: Record) -> dict[str, Any]:
    """A dead letter as an object; what is no text is in base64."""
    told = {
        name.removeprefix("driftline-"): text(value)
        for name, value in record.headers.items()
        if name.startswith("driftline-")
    }
    return told | {"key": _plain(record.key), "value": _plain(record.value)}


def _plain(raw: bytes | None) -> str | dict[str, str] | None:
    try:
        return None if raw is None else raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw or b"").decode()}


def text(raw: bytes) -> str:
    """Bytes of others as text that cannot do anything to a terminal."""
    return printable(raw.decode("utf-8", "replace"))


def printable(words: str) -> str:
    """Text without control characters, line breaks included."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)


# as the topics are

Line = Callable[[Any], str]
KINDS: dict[str, tuple[type[Alert | RetrainRequest | Evaluation], Line]] = {
    "alerts": (Alert, alert_text),
    "retrain-requests": (RetrainRequest, request_text),
    "evaluations": (Evaluation, evaluation_text),
}
TOPICS = (*KINDS, "dead-letters")


def line(topic: str, record: Record, model: str | None, *, as_json: bool) -> str | None:
    """What is printed of a record; None for one of another model."""
    if topic == "dead-letters":
        if model is not None and not _mentions(record, model):
            return None
        return json.dumps(letter_json(record)) if as_json else letter_text(record)
    kind, words = KINDS[topic]
    try:
        event = msgspec.json.decode(record.value or b"", type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        where = f"{record.topic}[{record.partition}] offset {record.offset}"
        return None if as_json else f"{where}: not one of Driftline's events: {error}"
    if model is not None and event.model != model:
        return None
    if as_json:
        return (record.value or b"").decode()
    return "\n".join(printable(one) for one in words(event).split("\n"))


def _mentions(record: Record, model: str) -> bool:
    """Whether a refused record names the model; what is no JSON names none."""
    try:
        event = msgspec.json.decode(record.value or b"")
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(event, dict) and event.get("model") == model
