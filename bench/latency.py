"""`latency`: from producing the record that makes a detector fire to the alert on its topic."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator

import confluent_kafka as ck
import msgspec
import numpy as np

from bench.crowds import Story, fires_at, prediction, stories
from bench.options import Options
from bench.pauses import Pauses, beside_check, in_worker
from bench.places import Place, place
from bench.processes import Worker, cpu_of
from bench.sessions import PATIENCE_S, Session
from bench.tables import Cell, Table, Target
from stream.columns import Floats
from stream.settings import DetectorSettings

ALERTS = 100  # of each crowd, one a model
CROWDS = (20, 100)  # models at a time
SECONDS = 60.0
FILL = 40_000  # rows of the run that tells what the worker can take in
CHECKPOINT_S = 1.0  # the default
TICK_S = 0.01
MOST_PER_S = 6_000  # what the producer, here, can make without being what is measured
DETECTOR = DetectorSettings("PageHinkley", "x", raw=True)
TABLES = f"""
[defaults]
lateness_s = 0
idle_s = "10m"
[[defaults.detectors]]
name = "{DETECTOR.name}"
signal = "{DETECTOR.signal}"
raw = true
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Of one crowd. late: seconds of each alert. rates in rows a second; load: of a core."""

    models: int
    late: Floats
    capacity: float
    rate: float
    behind_s: float
    load: float

    def quantile(self, q: float) -> float:
        """So late or less were this share of the alerts."""
        return float(np.quantile(self.late, q))


def run(options: Options) -> Table:
    """The table. Raises Unavailable without a real Kafka."""
    with place(options.folder) as servers:
        found = [_crowd(servers, options, models) for models in CROWDS]
        paused = [beside_check(), *in_worker(servers, options)]
    return _table(found, paused)


def _crowd(servers: Place, options: Options, models: int) -> Found:
    """So many models at a time, wave after wave, until there are enough alerts."""
    seconds = max(20.0, SECONDS * min(1.0, options.scale))
    session = Session(servers, options.folder, f"latency{models}", tables=TABLES)
    with session.workers() as (worker,):
        capacity = _capacity(session, worker, options.rows(FILL), models)
        rate = min(MOST_PER_S, capacity / 2)
        told = stories(ALERTS, models, int(rate * seconds / ALERTS), fires_at(DETECTOR))
        with _alerts(session) as came:
            cpu, began = cpu_of(worker.pid), time.monotonic()
            behind_s = _send(session, told, models, rate)
            load = (cpu_of(worker.pid) - cpu) / (time.monotonic() - began)
            worker.until(lambda: len(came) == len(told), PATIENCE_S)
    late = np.array([came[s.name] - s.at_s for s in told if s.at_s is not None])
    return Found(models, late, capacity, rate, behind_s, load)


def _capacity(session: Session, worker: Worker, rows: int, models: int) -> float:
    """Rows a second from a full topic to checkpoints."""
    _fill(session, rows // 10, models)
    worker.until(session.done, PATIENCE_S)
    worker.pause()
    _fill(session, rows, models)
    began = time.monotonic()
    worker.go_on()
    worker.until(session.done, PATIENCE_S)
    return rows / (time.monotonic() - began)


def _fill(session: Session, rows: int, models: int) -> None:
    now_ms = int(time.time() * 1000)
    values = [prediction(f"fill-{i % models}", i, now_ms - rows + i, 0.0) for i in range(rows)]
    session.servers.produce(f"{session.prefix}.predictions", values, session.partitions)


def _send(session: Session, told: list[Story], models: int, rate: float) -> float:
    """All values at a steady rate, wave after wave; by how long it fell behind, in s."""
    servers = session.servers.kafka.bootstrap
    producer = ck.Producer({"bootstrap.servers": servers, "linger.ms": 5, "log_level": 2})
    waves, total = len(told) // models, sum(len(s.values) for s in told)
    sent, behind_s, began = 0, 0.0, time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - began) * rate) + 1)
        for _ in range(due - sent):
            story = told[sent * waves // total * models + sent % models]
            partition = (sent + sent // models) % session.partitions  # every model to each
            producer.produce(f"{session.prefix}.predictions", story.next(), partition=partition)
            sent += 1
        producer.poll(0)
        behind_s = max(behind_s, time.monotonic() - began - sent / rate)
        time.sleep(TICK_S)
    producer.flush(60)
    return behind_s


@contextlib.contextmanager
def _alerts(session: Session) -> Iterator[dict[str, float]]:
    """When the first alert of each model was read from its topic."""
    servers = session.servers.kafka.bootstrap
    consumer = ck.Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "fetch.wait.max.ms": 5}
    )
    topic = f"{session.prefix}.alerts"
    consumer.assign([ck.TopicPartition(topic, p, 0) for p in range(session.partitions)])
    found: dict[str, float] = {}
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            for message in consumer.consume(100, 0.005):
                event = msgspec.json.decode(message.value() or b"")
                found.setdefault(event["model"], time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield found
    finally:
        ended.set()
        reader.join()
        consumer.close()


def _table(found: list[Found], paused: list[Pauses]) -> Table:
    columns = ("", "looks or alerts", "p50 s", "p99 s", "longest s")
    rows: list[list[Cell]] = [
        [
            f"record to alert, {f.models} models, {f.rate:,.0f} rows/s",
            *(len(f.late), f.quantile(0.5), f.quantile(0.99), float(f.late.max())),
        ]
        for f in found
    ]
    rows += [[f"event loop, {p.what}", p.looks, p.p50_s, p.p99_s, p.longest_s] for p in paused]
    notes = [
        f"One worker with all stages, checkpoint_s = {CHECKPOINT_S:g}, {DETECTOR.name} over one "
        "feature; which record makes it fire was found offline."
    ]
    notes += [
        f"{f.models} models: from a full topic it takes in {f.capacity:,.0f} of these rows a "
        f"second; sent at half of that, at most {MOST_PER_S:,}, which took {f.load:.0%} of a core; "
        f"the producer was {f.behind_s:.2f} s behind at worst."
        for f in found
    ]
    notes += [p.note for p in paused if p.note]
    bound = 2 * CHECKPOINT_S + 0.5
    targets = [
        Target(f"p99 of {f.models} models, 2 checkpoints + 0.5 s", f.quantile(0.99), at_most=bound)
        for f in found
    ]
    targets += [
        Target(f"longest pause of the loop, {p.what}, s", p.longest_s, at_most=0.05)
        for p in paused
        if p.judged
    ]
    return Table("latency", "from the record to the alert", columns, rows, targets, notes)
