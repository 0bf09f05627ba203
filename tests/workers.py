"""A deployment for tests: real worker processes on a Kafka and a Redis, fed and read by a test.

Whatever is read from the topics of events is checked against its schema and its headers.
"""

import asyncio
import dataclasses
import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import confluent_kafka as ck
import jsonschema
from confluent_kafka.admin import AdminClient, NewPartitions

import schemas
from agents.clusters import Cluster, Lag
from agents.crashes import EXIT_CRASHED
from agents.embedded import free_port
from agents.settings import TOPICS
from tests.processes import PATIENCE_S, Process, Start, start_command
from tests.servers import Kafka

SOURCES = ("predictions", "ground-truth", "control")
INNER = ("events", "signals")
SCHEMAS = {
    "evaluations": "evaluation.v1",
    "alerts": "alert.v1",
    "retrain-requests": "retrain-request.v1",
}
VALIDATORS = {t: jsonschema.Draft202012Validator(schemas.load(n)) for t, n in SCHEMAS.items()}
EXPECTED = (None, 0, -9, EXIT_CRASHED)  # exit codes that are no surprise
LOOK_S = 0.1
HOUR_MS = 3_600_000
START_MS = 1_735_689_600_000  # 2025-01-01, a pane's start whatever its length up to a day
HOURLY = """
[models.m]
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """One record of a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    timestamp_ms: int = -1

    @property
    def event(self) -> dict[str, Any]:
        """The value as JSON."""
        found: dict[str, Any] = json.loads(self.value or b"")
        return found


class Deployment:
    """Topics, a state and workers under one name. `tables`: TOML after the generated tables."""

    def __init__(
        self,
        kafka: Kafka,
        redis_url: str,
        name: str,
        folder: Path,
        tables: str = "",
        /,
        **settings: Mapping[str, object],
    ) -> None:
        self.kafka, self.name, self.folder = kafka, name, folder
        self.starting: Start = start_command
        self.access: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap}
        self.port = free_port()
        self.processes: list[Process] = []
        self.told = _settings(kafka.bootstrap, redis_url, name, settings)
        self.config = folder / "driftline.toml"
        self.config.write_text(_toml(self.told) + tables)
        self._producer: ck.Producer | None = None
        self._consumer: ck.Consumer | None = None
        self._read: dict[str, list[Read]] = {name: [] for name in TOPICS}
        self.sent: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.close()
        if self._consumer is not None:
            self._consumer.close()

    def logs(self) -> str:
        """What all workers printed."""
        return "\n".join(f"--- {p.log_path.name}\n{p.log()}" for p in self.processes)

    def topic(self, name: str) -> str:
        """A topic's full name."""
        return f"{self.name}.{name}"

    # workers

    def start(
        self,
        stages: str | None = None,
        *,
        wait: bool = True,
        http: bool = False,
        start: Start | None = None,
        variables: Mapping[str, str] | None = None,
        more: Sequence[str] = (),
    ) -> Process:
        """A worker, which has made the topics once this returns; its counters only with `http`."""
        config = self.config
        if http:
            config = self.folder / "http.toml"
            config.write_text(self.config.read_text().replace("port = 0", f"port = {self.port}", 1))
        log = self.folder / f"worker-{len(self.processes)}.log"
        process = Process(config, log, stages, start or self.starting, variables, more)
        self.processes.append(process)
        if wait:
            self.until(self._topics_exist)
        return process

    def _topics_exist(self) -> bool:
        there = self._client().list_topics(timeout=10).topics
        return all(self.topic(name) in there for name in TOPICS)

    def counters(self) -> dict[str, float]:
        """What the worker answers at /metrics: a line's name with labels -> value."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    # in

    def send(
        self,
        topic: str,
        events: Iterable[Mapping[str, Any] | bytes | None],
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Sequence[tuple[str, str | bytes | None]] = (),
        timestamp_ms: int = 0,
    ) -> None:
        """Events, or values as they are, in order; returns when Kafka has them all."""
        where: dict[str, Any] = {} if partition is None else {"partition": partition}
        where |= {"timestamp": timestamp_ms} if timestamp_ms else {}
        failures: list[ck.KafkaError] = []
        producer, count = self._client(), 0
        for event in events:
            value = json.dumps(event).encode() if isinstance(event, Mapping) else event
            while True:
                try:
                    producer.produce(
                        self.topic(topic),
                        value,
                        key,
                        headers=list(headers),
                        on_delivery=lambda error, _: failures.append(error) if error else None,
                        **where,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
            producer.poll(0)
        assert producer.flush(PATIENCE_S) == 0
        assert not failures, failures
        self.sent[topic] = self.sent.get(topic, 0) + count

    def control(self, type_: str, model: str, time_ms: int = START_MS, **more: Any) -> None:
        """A control event, taken in once this returns."""
        self.send("control", [{"type": type_, "model": model, "time": time_ms, **more}])
        self.until_taken_in()

    def close_time(self, model: str, time_ms: int, version: str | None = None) -> None:
        """Say that nothing before time_ms will come, after all that was sent was taken in."""
        self.until_taken_in()
        more = {} if version is None else {"version": version}
        self.control("watermark", model, time_ms, **more)

    def _client(self) -> ck.Producer:
        if self._producer is None:
            self._producer = ck.Producer(
                {
                    **self.access,
                    "enable.idempotence": True,  # also when a broker restarts
                    "linger.ms": 5,
                    "log_level": 2,
                    "message.max.bytes": 3_000_000,
                }
            )
        return self._producer

    # topics, on a real Kafka

    def partitions(self, name: str) -> int:
        """How many a topic has."""
        topic = self.topic(name)
        return len(self._client().list_topics(topic, timeout=10).topics[topic].partitions)

    def span(self, name: str, partition: int) -> tuple[int, int]:
        """The first offset of a partition, and the next one to be written."""
        at = ck.TopicPartition(self.topic(name), partition)
        first, end = self._reader().get_watermark_offsets(at, timeout=10)
        return first, end

    def add_partitions(self, name: str, total: int) -> None:
        """Let a topic have more."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        for done in admin.create_partitions([NewPartitions(self.topic(name), total)]).values():
            done.result(30)
        self.until(lambda: self.partitions(name) == total)

    def make_anew(self, name: str) -> None:
        """Delete a topic, and make one of the same name."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        for done in admin.delete_topics([self.topic(name)]).values():
            done.result(30)
        self.until(lambda: self.topic(name) not in self._client().list_topics(timeout=10).topics)
        self.kafka.create_topics(self.topic(name))
        self.until(lambda: self.topic(name) in self._client().list_topics(timeout=10).topics)

    # out

    def read(self, topic: str) -> list[Read]:
        """All there is of a topic by now, in order within each partition."""
        consumer = self._reader()
        while messages := consumer.consume(1_000, 0.05):
            for m in messages:
                assert m.error() is None, m.error()
                self._keep(m)
        return self._read[topic]

    def events(self, topic: str) -> list[dict[str, Any]]:
        """The same as JSON, each event once: ids say which are repeated."""
        found = {r.event["id"]: r.event for r in self.read(topic)}
        return list(found.values())

    def evaluations(self, subject: str = "inputs") -> list[dict[str, Any]]:
        """Evaluations of one kind, in order of event time."""
        found = [e for e in self.events("evaluations") if e["subject"] == subject]
        return sorted(found, key=lambda e: (e["time"], e["window"]["revision"]))

    def _reader(self) -> ck.Consumer:
        if self._consumer is None:
            self._consumer = ck.Consumer(
                {
                    **self.access,
                    "group.id": f"{self.name}-reader",
                    "enable.auto.commit": False,
                    "log_level": 2,
                    "fetch.wait.max.ms": 50,
                }
            )
            known = self._client().list_topics(timeout=10).topics
            self._consumer.assign(
                [
                    ck.TopicPartition(self.topic(name), number, 0)
                    for name in TOPICS
                    for number in known[self.topic(name)].partitions
                ]
            )
        return self._consumer

    def _keep(self, m: ck.Message) -> None:
        topic = (m.topic() or "").removeprefix(f"{self.name}.")
        headers: dict[str, bytes] = dict(cast(Any, m.headers() or []))
        read = Read(
            topic,
            m.partition() or 0,
            m.offset() or 0,
            m.key(),
            m.value(),
            headers,
            m.timestamp()[1],
        )
        if topic in SCHEMAS:
            _check(read)
        self._read[topic].append(read)

    # waiting

    def until(self, true: Callable[[], Any], within_s: float = PATIENCE_S) -> None:
        """Look again and again; fails with the workers' logs when it does not come true."""
        end = time.monotonic() + within_s
        while not true():
            ended = [p for p in self.processes if p.process.poll() not in EXPECTED]
            assert not ended, f"a worker ended with {ended[0].process.poll()}\n{self.logs()}"
            assert time.monotonic() < end, f"not within {within_s:.0f} s\n{self.logs()}"
            time.sleep(LOOK_S)

    def lags(self, topics: Iterable[str]) -> list[Lag]:
        """How far the workers' group is."""
        names = [self.topic(name) for name in topics]
        return asyncio.run(self.cluster().positions(self.name, names))

    def cluster(self) -> Cluster:
        """The Kafka, to be asked."""
        return Cluster([self.kafka.bootstrap])

    def done(self, topics: Iterable[str]) -> bool:
        """Whether the workers have committed all there is of these topics."""
        try:
            return not any(lag.behind for lag in self.lags(topics))
        except ConnectionError:  # the group's coordinator is not there yet
            return False

    def until_taken_in(self, within_s: float = PATIENCE_S) -> None:
        """Until intake has forwarded all that lies in the source topics."""
        self.until(lambda: self.done(SOURCES), within_s)

    def until_idle(self, within_s: float = PATIENCE_S) -> None:
        """Until all is consumed and committed, and stays so."""

        def idle() -> bool:
            if not self.done(SOURCES + INNER):
                return False
            time.sleep(0.6)  # three checkpoints: what they publish is consumed as well
            return self.done(SOURCES + INNER)

        self.until(idle, within_s)


def _check(read: Read) -> None:
    """Valid against its schema, and with the same attributes in its headers."""
    event = read.event
    VALIDATORS[read.topic].validate(event)
    told = {key: read.headers[key].decode() for key in ("ce_id", "ce_type", "ce_time")}
    assert told == {"ce_id": event["id"], "ce_type": event["type"], "ce_time": event["time"]}
    assert read.headers["ce_specversion"] == b"1.0"
    assert read.headers["ce_source"].startswith(b"/driftline/")
    assert read.headers["content-type"] == b"application/json"
    assert read.key == event["model"].encode()


def _settings(
    bootstrap: str, redis_url: str, name: str, more: Mapping[str, Mapping[str, object]]
) -> dict[str, dict[str, object]]:
    tables: dict[str, dict[str, object]] = {
        "kafka": {
            "brokers": [bootstrap],
            "group_id": name,
            "session_timeout_s": 6,
            "heartbeat_s": 1,
            "commit_s": 0.2,
        },
        "redis": {"url": redis_url, "key_prefix": name},
        "topics": {"prefix": name},
        "worker": {"checkpoint_s": 0.2},
        "http": {"port": 0},
    }
    for table, keys in more.items():
        tables[table] = tables.get(table, {}) | dict(keys)
    return tables


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """JSON's strings, numbers and lists are TOML's; booleans too."""
    lines: list[str] = []
    for table, keys in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def prediction(number: int, time_ms: int, features: Mapping[str, Any], **more: Any) -> Any:
    """A prediction of model `m`, version `1`."""
    base = {"prediction_id": str(number), "model": "m", "version": "1", "time": time_ms}
    return base | {"features": dict(features)} | more


def truth(number: int, time_ms: int, label: Any, **more: Any) -> Any:
    """What really happened with it."""
    base = {"prediction_id": str(number), "model": "m", "time": time_ms}
    return base | {"label": label} | more


Deploy = Callable[..., Deployment]
