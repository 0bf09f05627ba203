"""Surveys: what Kafka and Redis say of every partition now. Nothing is claimed, nothing changed."""

import asyncio
import itertools
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from agents.clusters import Cluster, Lag
from agents.origins import FIELD as BASES
from agents.origins import bases_of
from agents.repair.groups import Group
from agents.repair.judgements import Log, Wrong, needed, of_bases, of_inner, of_source
from agents.repair.losses import Loss, losses
from agents.settings import Settings
from agents.store import Stamp, Store, Unusable
from agents.visits import Away, visited
from stream.sources import Sources
from stream.states import sources_in

log = logging.getLogger(__name__)

INNER = {"events": "ledger", "signals": "watch"}
SOURCES = ("predictions", "ground-truth", "control")


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of a stage: its state in Redis beside its log in Kafka.

    next, identity, seq: of the state, None where there is none. backlog: messages of its outbox.
    """

    stage: str
    log: Log
    next: int | None
    identity: str | None
    seq: int
    backlog: int
    wrong: Wrong | None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of a source topic. low: the last record that all ledgers have counted, None
    where none has; ids: the identities of the topic that they know.
    """

    log: Log
    low: int | None
    ids: list[str]
    wrong: Wrong | None

    @property
    def needed(self) -> int:
        """The next record to be taken in."""
        return needed(self.log, self.low) or 0


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. redis: what is wrong with its settings. members: workers of the group now.

    lost: what earlier repairs have given up.
    """

    redis: str
    stages: list[Stage]
    sources: list[Source]
    lost: list[Loss]
    members: list[str] = []

    @property
    def wrongs(self) -> list[Wrong]:
        """All that is wrong with positions, each once."""
        found = [*(one.wrong for one in self.stages), *(one.wrong for one in self.sources)]
        return list(dict.fromkeys(wrong for wrong in found if wrong is not None))

    def counts(self) -> dict[str, int]:
        """How many partitions of events and of signals the states were made with."""
        topics = {stage: topic for topic, stage in INNER.items()}
        return {
            topics[one.stage]: int(one.identity.rpartition(":")[2])
            for one in self.stages
            if one.identity
        }

    def notes(self) -> list[str]:
        """What is as it may be, and still worth a word."""
        found, counts = [], self.counts()
        for topic, stage in INNER.items():
            log = next((one.log for one in self.stages if one.stage == stage), None)
            if log is not None and log.partitions > counts.get(topic, log.partitions):
                found.append(
                    f"topic {log.topic} has {log.partitions} partitions now, the state in Redis "
                    f"was made with {counts[topic]}: the first {counts[topic]} are used, for what "
                    "is known of an id or a model cannot move. Nothing is to be repaired"
                )
        return found


async def with_members(settings: Settings) -> Survey:
    """A survey that names the workers too."""
    found = await survey(settings)
    if await Cluster(settings.kafka).is_mock():
        return found
    return msgspec.structs.replace(found, members=await Group(settings.kafka).members())


async def survey(settings: Settings) -> Survey:
    """Ask Kafka and Redis. Raises ConnectionError, Unusable, LookupError for a missing topic."""
    async with visited(settings) as (client, store):
        told = await unfit(store)
        cluster = Cluster(settings.kafka)
        counts = {t: await cluster.partition_count(settings.topics.name(t)) for t in INNER}
        metas = {topic: await _metas(client, store, topic, counts[topic]) for topic in INNER}
        marks = await marks_of(store, len(metas["events"]))
        lost = [await _rootless(store, number) for number in range(len(metas["signals"]))]
        logs = await logs_of(settings, cluster)  # last: a running worker is never ahead of it
        return Survey(
            redis=told,
            stages=list(_stages(metas, logs, {"signals": lost})),
            sources=list(_sources(logs, marks)),
            lost=await losses(store),
        )


async def unfit(store: Store) -> str:
    """What is wrong with the settings of Redis; nothing where they are fit."""
    try:
        await store.check()
    except Unusable as error:
        return str(error)
    return ""


async def patient(settings: Settings, pause_s: float = 1.0) -> Survey:
    """A survey, however long Redis is away."""
    while True:
        try:
            return await survey(settings)
        except Away as error:
            log.warning("%s Trying again", error)
            await asyncio.sleep(pause_s)


async def logs_of(settings: Settings, cluster: Cluster) -> dict[str, list[Log]]:
    """The partitions in Kafka by topic, without prefix. Raises ConnectionError, LookupError."""
    names = {settings.topics.name(topic): topic for topic in (*SOURCES, *INNER)}
    ids = {name: await cluster.topic_id(name) for name in names}
    lags = await cluster.positions(settings.kafka.group_id, names)
    found = {}
    for name, rows in itertools.groupby(lags, key=lambda lag: lag.topic):
        own = list(rows)
        found[names[name]] = [_log(lag, ids[name], len(own)) for lag in own]
    return found


def _log(lag: Lag, topic_id: str, partitions: int) -> Log:
    return Log(lag.topic, lag.partition, topic_id, partitions, lag.first, lag.end, lag.committed)


async def _metas(client: Any, store: Store, topic: str, count: int) -> list[Sequence[Any]]:
    """next, identity, seq, head and tail of each partition's state."""
    fields = ("next", "topic_id", "seq", "head", "tail")
    keys = [store.partition(INNER[topic], number).key("meta") for number in range(count)]
    return [await client.hmget(key, fields) for key in keys]


async def _rootless(store: Store, number: int) -> Wrong | None:
    """A partition of the watch that rests on checkpoints which its ledgers have lost."""
    raw = (await store.read_shares("watch", [number], [BASES]))[0]
    stood = await stood_of(store, bases_of(raw).values())
    lost = [stamp for stamp, stands in stood.items() if stands is False]
    return of_bases(f"watch:{number}", lost[0].partition, lost[0].seq) if lost else None


async def stood_of(store: Store, stamps: Collection[Stamp]) -> dict[Stamp, bool | None]:
    """Whether each checkpoint is part of what Redis has; None where that cannot be told."""
    owners: dict[str, set[str]] = {}
    for stamp in stamps:
        owners.setdefault(stamp.partition, set()).add(stamp.owner)
    known = await store.histories(owners)
    return {s: known[s.partition].has(s) if known[s.partition].knows(s) else None for s in stamps}


def _stages(
    metas: Mapping[str, list[Sequence[Any]]],
    logs: Mapping[str, list[Log]],
    more: Mapping[str, Sequence[Wrong | None]],
) -> Iterator[Stage]:
    for topic, stage in INNER.items():
        for log, (next_, identity, seq, head, tail) in zip(logs[topic], metas[topic], strict=False):
            at = None if next_ is None else int(next_)
            recorded = identity.decode() if identity else None
            yield Stage(
                stage=stage,
                log=log,
                next=at,
                identity=recorded,
                seq=int(seq or 0),
                backlog=int(tail or 0) - int(head or 0),
                wrong=of_inner(topic, log, at, recorded) or _of(more, topic, log.partition),
            )


def _of(more: Mapping[str, Sequence[Wrong | None]], topic: str, number: int) -> Wrong | None:
    return more[topic][number] if topic in more else None


async def marks_of(store: Store, partitions: int) -> list[Sources]:
    """The source high-water marks of the ledgers that have a state."""
    raws = await store.read_shares("ledger", range(partitions), ["ledger"] * partitions)
    return [sources_in(raw) for raw in raws if raw is not None]


def _sources(logs: Mapping[str, list[Log]], marks: Sequence[Sources]) -> Iterator[Source]:
    for topic in SOURCES:
        for log in logs[topic]:
            low, at = lowest(marks, log), (log.topic, log.partition)
            ids = {one.marks[at].topic_id for one in marks if at in one.marks}
            yield Source(log=log, low=low, ids=sorted(ids), wrong=of_source(log, ids, low))


def lowest(marks: Sequence[Sources], log: Log) -> int | None:
    """The last record that all ledgers have counted: -1 where one has none, None where all have.

    A mark of another identity of the topic counts for nothing.
    """
    source = (log.topic, log.partition)
    if not any(source in one.marks for one in marks):
        return None
    return min(_mark(one, source) for one in marks)


def _mark(marks: Sources, source: tuple[str, int]) -> int:
    return marks.marks[source].offset if source in marks.marks else -1
