"""What a deployment must have published, and must hold, by the same core fed from the same topics.

The core in memory (`stream.pipeline`) takes in what lies in the source topics, once and in order.
"""

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from agents.settings import load
from agents.store import Store
from stream.entries import Tables, unpack_entry
from stream.events import Limits, Rejected, decode_prediction, decode_truth
from stream.joins import Entry
from stream.ledger import Ledger
from stream.pipeline import Pipeline, State
from tests.workers import SCHEMAS, Deployment, Read

DECODERS: dict[str, Any] = {"predictions": decode_prediction, "ground-truth": decode_truth}
SLICE = 200
OWN = ("inputs/", "quality/")  # fields of the ledgers that hold sealed shares
SEEN = ("detector/", "fact-", "names-")  # fields of the watches without numbers of messages
Published = dict[str, dict[str, bytes]]


def oracle_of(
    d: Deployment, before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]
) -> Pipeline:
    """before, after: control events that the workers met before and after all the rest."""
    settings, partitions = load(d.config), d.partitions("events")
    pipeline = Pipeline(settings.model, partitions, d.partitions("predictions"))
    for event in before:
        pipeline.control(event)
    for topic, partition, rows in _slices(d):
        pipeline.rows(d.topic(topic), partition, rows, max(row[1] for row in rows))
        pipeline.checkpoint()
    for event in after:
        pipeline.control(event)
    pipeline.checkpoint()
    return pipeline


def read_all(d: Deployment) -> None:
    """All that lies in the topics by now is read."""
    names = (*DECODERS, *SCHEMAS, "dead-letters")
    ends = {name: _end(d, name) for name in names}
    d.until(lambda: all(len(d.read(name)) >= end for name, end in ends.items()))


def _end(d: Deployment, name: str) -> int:
    spans = [d.span(name, number) for number in range(d.partitions(name))]
    return sum(last - first for first, last in spans)


def _slices(d: Deployment) -> Iterable[tuple[str, int, list[Any]]]:
    """Rows of the source partitions in turn, a few of each."""
    rows: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for topic in DECODERS:
        for read in d.read(topic):
            rows[topic, read.partition] += _row(read)
    while rows:
        for at in sorted(rows):
            yield *at, rows[at][:SLICE]
            rows[at] = rows[at][SLICE:]
            if not rows[at]:
                del rows[at]


def _row(read: Read) -> list[Any]:
    try:
        event = DECODERS[read.topic](read.value, read.key, read.timestamp_ms, Limits())
    except Rejected:
        return []
    return [(read.offset, read.timestamp_ms, event)]


def expected(pipeline: Pipeline) -> Published:
    """Bodies by topic and id."""
    found: Published = {topic: {} for topic in SCHEMAS}
    for message in pipeline.published:
        found[message.topic][_id(message.value)] = message.value
    return found


class _Identified(msgspec.Struct):
    id: str


def published(d: Deployment) -> Published:
    """The same of what lies in Kafka. What has one id has one body, however often it came."""
    found: Published = {topic: {} for topic in SCHEMAS}
    for topic, bodies in found.items():
        for read in d.read(topic):
            value = read.value or b""
            assert bodies.setdefault(_id(value), value) == value, f"{topic}: two bodies of one id"
    return found


def _id(value: bytes) -> str:
    return msgspec.json.decode(value, type=_Identified).id


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """Sealed shares by name and what waits by id hash, of each partition of the ledger.

    watch: the states of detectors, and what is known of sealed panes.
    """

    shares: Sequence[Mapping[str, bytes]]
    pending: Sequence[Mapping[int, object]]
    watch: Mapping[str, bytes]


def expected_state(pipeline: Pipeline) -> Held:
    """What was sealed and what waits, in the oracle."""
    return _held(pipeline, pipeline.stored, [pipeline.watched])


def held(d: Deployment, pipeline: Pipeline) -> Held:
    """The same of Redis. pipeline: knows the settings and the references."""
    return _held(pipeline, *asyncio.run(_states(d)))


def _held(pipeline: Pipeline, stored: Sequence[State], watches: Sequence[State]) -> Held:
    ledgers = [_ledger(pipeline, number, state) for number, state in enumerate(stored)]
    return Held(
        [{f: raw for f, raw in s.fields.items() if f.startswith(OWN)} for s in stored],
        [_pending(ledger, state) for ledger, state in zip(ledgers, stored, strict=True)],
        {f: raw for s in watches for f, raw in s.fields.items() if f.startswith(SEEN)},
    )


def _ledger(pipeline: Pipeline, number: int, state: State) -> Ledger:
    found = Ledger(number, pipeline.partitions, pipeline.settings)
    found.restore(state.fields, pipeline.references)
    return found


def _pending(ledger: Ledger, state: State) -> dict[int, object]:
    """Entries with words in the place of numbers, which depend on what came first."""
    tables = ledger.matches.tables
    return {key: _plain(unpack_entry(raw, tables), tables) for key, raw in state.pending.items()}


def _plain(entry: Entry, tables: Tables) -> list[object]:
    items: Sequence[Any] = (*entry.forecasts, *entry.labels)
    return [
        (tables.subjects.word(item.subject), *msgspec.structs.astuple(item)[1:]) for item in items
    ]


async def _states(d: Deployment) -> tuple[list[State], list[State]]:
    settings = load(d.config)
    async with Redis.from_url(settings.redis.url.get_secret_value()) as client:
        store = Store(client, settings.redis.key_prefix)
        ledgers = [await _state(store, "ledger", n) for n in range(d.partitions("events"))]
        return ledgers, [await _state(store, "watch", n) for n in range(d.partitions("signals"))]


async def _state(store: Store, stage: str, number: int) -> State:
    """What the next owner would find."""
    partition = store.partition(stage, number)
    await partition.claim()
    found = State(await partition.load())
    cursor = 0
    while True:
        cursor, some = await partition.scan_pending(cursor)
        found.pending |= some
        if cursor == 0:
            return found
