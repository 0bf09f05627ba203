"""Workers behind proxies, a small story told to them, and what the pipeline in memory makes of it.

The story is told in pieces, so that a fault may come before, between and beside them.
"""

import contextlib
import dataclasses
import functools
import http.client
import json
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agents.embedded import EmbeddedRedis
from agents.settings import Settings
from stream.events import Prediction, Truth
from stream.pipeline import Pipeline
from tests import tales
from tests.brokers import ApacheKafka
from tests.processes import Process
from tests.proxies import Proxy
from tests.servers import Kafka
from tests.tales import START_MS, Event, Tale
from tests.workers import SCHEMAS, Deployment

MODELS = ("m", "second")  # of different partitions of the signals
PARTITIONS = 4  # of each topic
PIECES = 8
GRACE_S = 4.0  # beside a worker's own limit, on a busy machine
TABLES = f"[defaults]{tales.KEYS}"
Row = tuple[int, int, Event]  # offset, record time (ms), event
Record = tuple[str, int, int, Event]  # topic, partition, offset, event


@functools.cache
def story() -> Mapping[str, Tale]:
    """One tale for each model."""
    return {name: _of(name, tales.tale(seed=seed)) for seed, name in enumerate(MODELS, 1)}


def _of(name: str, tale: Tale) -> Tale:
    reference = dataclasses.replace(tale.reference, model=name)
    events = [msgspec.structs.replace(event, model=name) for event in tale.events]
    return Tale(reference, events, tale.end_ms)


@functools.cache
def records() -> Sequence[Record]:
    """All events in order of event time, with the places in Kafka that they are sent to."""
    whole = [event for tale in story().values() for event in tale.events]
    ends: defaultdict[tuple[str, int], int] = defaultdict(int)
    found = []
    for i, event in enumerate(sorted(whole, key=lambda e: e.time)):
        topic = "predictions" if isinstance(event, Prediction) else "ground-truth"
        at = topic, (i * 2_654_435_761 >> 8) % PARTITIONS
        found.append((*at, ends[at], event))
        ends[at] += 1
    return found


@functools.cache
def pieces() -> Sequence[Sequence[Record]]:
    """The records in pieces."""
    every = -(-len(records()) // PIECES)
    return [records()[i : i + every] for i in range(0, len(records()), every)]


def _raw(event: Prediction | Truth) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return msgspec.json.encode({k: v for k, v in fields.items() if v not in (None, {}, "")})


@functools.cache
def told() -> Pipeline:
    """The story in memory."""
    tables: Any = tomllib.loads(TABLES)
    pipeline = Pipeline(Settings(**tables).model, PARTITIONS, PARTITIONS)
    for tale in story().values():
        for part in tale.reference.to_parts(600_000, time=START_MS):
            pipeline.control(part)
    for piece in pieces():
        for (topic, partition), rows in by_place(piece).items():
            pipeline.rows(topic, partition, rows, rows[-1][1])
        pipeline.checkpoint()
    for name, tale in story().items():
        pipeline.control({"type": "watermark", "model": name, "time": tale.end_ms})
    pipeline.checkpoint()
    return pipeline


def by_place(piece: Sequence[Record]) -> Mapping[tuple[str, int], list[Row]]:
    """Rows of each source partition."""
    found: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for topic, partition, offset, event in piece:
        found[topic, partition].append((offset, event.time, event))
    return found


@functools.cache
def expected() -> Mapping[str, Mapping[str, Any]]:
    """What must come out: events by their ids, by topic."""
    found: dict[str, dict[str, Any]] = {name: {} for name in SCHEMAS}
    for message in told().published:
        event = json.loads(message.value)
        found[message.topic][event["id"]] = event
    assert all(found.values())
    return found


@dataclasses.dataclass
class Scene:
    """Workers, what is between them and their servers, and the servers."""

    d: Deployment
    redis: Proxy
    kafka: Proxy
    server: EmbeddedRedis
    broker: ApacheKafka
    told: int = 0  # pieces

    def start(self, stages: str | None = None) -> Process:
        """A worker that answers over HTTP."""
        return self.d.start(stages, http=True)

    def stop(self, worker: Process, shutdown_s: float) -> int:
        """SIGTERM; its exit code, which no later look takes for a surprise. It ends in time."""
        begun = time.monotonic()
        code = worker.stop()
        worker.close()
        self.d.processes.remove(worker)
        assert time.monotonic() - begun < shutdown_s + GRACE_S, worker.log()
        return code

    def register(self) -> None:
        """The references, taken in."""
        for name, tale in story().items():
            for part in tale.reference.to_parts(600_000, time=START_MS):
                more = {k: v for k, v in part.items() if k not in ("type", "model", "time")}
                self.d.control("reference", name, START_MS, **more)

    def tell(self, pieces_: int = 1) -> None:
        """The next pieces of the story; returns when Kafka has them."""
        for piece in pieces()[self.told : self.told + pieces_]:
            for (topic, partition), rows in by_place(piece).items():
                self.d.send(topic, [_raw(event) for _, _, event in rows], partition=partition)
        self.told += pieces_

    def tell_rest(self) -> None:
        """All that is left."""
        self.tell(PIECES - self.told)

    def not_ready(self) -> Mapping[str, str]:
        """What the worker says is wrong."""
        found: Mapping[str, str] = get(self.d.port, "/readyz")[1].get("not_ready", {})
        return found

    def check(self) -> None:
        """After the last piece: what came out is what the pipeline in memory says, exactly."""
        self.tell_rest()
        self.d.until_taken_in()
        for name, tale in story().items():
            self.d.control("watermark", name, tale.end_ms)
        self.d.until(
            lambda: all(self._published(t).keys() >= expected()[t].keys() for t in SCHEMAS)
        )
        self.d.until_idle()
        for topic in SCHEMAS:
            assert self._published(topic) == expected()[topic], self.d.logs()
        assert self.d.read("dead-letters") == []

    def _published(self, topic: str) -> Mapping[str, Any]:
        """Events by their ids; one id always means the same event."""
        found: dict[str, Any] = {}
        for read in self.d.read(topic):
            event = json.loads((read.value or b"").replace(f"{self.d.name}.".encode(), b""))
            assert found.setdefault(event["id"], event) == event
        return found


def get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a worker's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


Stage = Callable[..., Scene]


@contextlib.contextmanager
def scene(
    proxied: tuple[ApacheKafka, Proxy], server: EmbeddedRedis, name: str, folder: Path, **more: Any
) -> Iterator[Scene]:
    """A deployment whose workers reach Kafka and Redis through proxies, and the test does not."""
    broker, kafka = proxied
    kafka.heal()
    with Proxy(f"127.0.0.1:{server.port}") as redis:
        direct = Kafka(broker.bootstrap, "apache", "its own")
        settings = more | {"kafka": {"brokers": [kafka.address]} | more.get("kafka", {})}
        with Deployment(direct, redis.redis_url, name, folder, TABLES, **settings) as d:
            yield Scene(d, redis, kafka, server, broker)
    kafka.heal()
