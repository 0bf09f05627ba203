"""`latency`: from producing the record that makes a detector fire to the alert on its topic."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka as ck
import msgspec
import numpy as np
import redis

from bench.options import Options
from bench.pauses import pauses
from bench.places import Place, place
from bench.processes import Worker, cpu_of
from bench.tables import Cell, Table, Target
from stream.columns import Floats
from stream.detectors import Detector
from stream.settings import DetectorSettings

FEATURES = 1_000  # of the check beside which the event loop goes on
MODELS = 20  # at a time
WAVES = 5  # of models, one after the other: each tells one alert
SECONDS = 60.0
FILL = 40_000  # rows of the run that tells what the worker can take in
CHECKPOINT_S = 1.0  # the default
PARTITIONS = 4
PATIENCE_S = 300.0
TICK_S = 0.01
LEAST = 64  # the detector begins with the 30th value
MOST_PER_S = 6_000  # what the producer, here, can make without being what is measured
DETECTOR = DetectorSettings("PageHinkley", "x", raw=True)
CONFIG = """
[kafka]
brokers = ["{brokers}"]
group_id = "latency"
session_timeout_s = 30  # it is stopped while Kafka is filled
[redis]
url = "{redis}"
key_prefix = "latency"
[topics]
prefix = "latency"
partitions = {partitions}
[http]
port = 0
[defaults]
lateness_s = 0
idle_s = "10m"
[[defaults.detectors]]
name = "{detector}"
signal = "x"
raw = true
"""


@dataclasses.dataclass(slots=True)
class Story:
    """One model's values, and which of them makes its detector fire. at_s: when it was sent."""

    name: str
    values: Floats
    fires: int
    sent: int = 0
    last_ms: int = 0
    at_s: float | None = None


def run(options: Options) -> Table:
    """The table. Raises Unavailable without a real Kafka."""
    seconds = max(10.0, SECONDS * min(1.0, options.scale))
    with place(options.folder) as servers, _worker(servers, options.folder) as worker:
        capacity = _capacity(servers, worker, options.rows(FILL))
        rate = min(MOST_PER_S, capacity / 2)
        told = _stories(int(rate * seconds / MODELS / WAVES))
        with _alerts(servers) as came:
            cpu, began = cpu_of(worker.pid), time.monotonic()
            behind_s = _send(servers, told, rate)
            load = (cpu_of(worker.pid) - cpu) / (time.monotonic() - began)
            worker.until(lambda: len(came) == len(told), PATIENCE_S)
    late = np.array([came[s.name] - s.at_s for s in told if s.at_s is not None])
    return _table(late, capacity, rate, behind_s, load)


@contextlib.contextmanager
def _worker(servers: Place, folder: Path) -> Iterator[Worker]:
    config = folder / "latency.toml"
    text = CONFIG.format(
        brokers=servers.kafka.bootstrap,
        redis=servers.redis.url,
        partitions=PARTITIONS,
        detector=DETECTOR.name,
    )
    config.write_text(text)
    worker = Worker(config, folder / "latency.log")
    try:
        worker.until(lambda: servers.has("latency.alerts"), PATIENCE_S)
        yield worker
    finally:
        worker.close()


def _capacity(servers: Place, worker: Worker, rows: int) -> float:
    """Rows a second from a full topic to checkpoints."""
    now_ms = int(time.time() * 1000)
    worker.until(lambda: _pending(servers) == 0, PATIENCE_S)
    worker.pause()
    values = [_prediction(f"fill-{i % MODELS}", i, now_ms - rows + i, 0.0) for i in range(rows)]
    servers.produce("latency.predictions", values, PARTITIONS)
    began = time.monotonic()
    worker.go_on()
    worker.until(lambda: _pending(servers) >= rows, PATIENCE_S)
    return rows / (time.monotonic() - began)


def _pending(servers: Place) -> int:
    """Predictions that are checkpointed: each waits for its truth."""
    keys = [f"latency:{{ledger:{p}}}:meta" for p in range(PARTITIONS)]
    with contextlib.closing(redis.Redis.from_url(servers.redis.url)) as client:
        return sum(int(client.hget(key, "pending") or 0) for key in keys)


def _prediction(model: str, number: int, time_ms: int, x: float) -> bytes:
    event = {
        "prediction_id": f"{model}-{number}",
        "model": model,
        "version": "1",
        "time": time_ms,
        "features": {"x": x},
        "prediction": 1,
    }
    return msgspec.json.encode(event)


def _stories(rows: int) -> list[Story]:
    """Values that jump, each model's elsewhere in the second half; a detector fires soon after.

    Raises RuntimeError where there is not time for that.
    """
    if rows < LEAST:
        raise RuntimeError(f"{rows} rows of a model are too few: more of --scale, a faster machine")
    random = np.random.default_rng(1)
    found = []
    for number in range(MODELS * WAVES):
        values = random.normal(size=rows)
        values[rows // 2 + int(rows * 0.3 * (number % MODELS) / MODELS) :] += 20.0
        found.append(Story(f"model-{number:03}", values, _fires(values)))
    return found


def _fires(values: Floats) -> int:
    """The first value at which the detector fires, offline."""
    detector = Detector(DETECTOR)
    return next(i for i, value in enumerate(values.tolist()) if detector.update(value))


def _send(servers: Place, told: list[Story], rate: float) -> float:
    """All values at a steady rate, wave after wave; by how long it fell behind, in s."""
    config = {"bootstrap.servers": servers.kafka.bootstrap, "linger.ms": 5, "log_level": 2}
    producer, behind_s = ck.Producer(config), 0.0
    total, sent, began = sum(len(s.values) for s in told), 0, time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - began) * rate) + 1)
        for _ in range(due - sent):
            wave = sent * WAVES // total * MODELS
            _send_one(producer, told[wave + sent % MODELS], sent)
            sent += 1
        producer.poll(0)
        behind_s = max(behind_s, time.monotonic() - began - sent / rate)
        time.sleep(TICK_S)
    producer.flush(60)
    return behind_s


def _send_one(producer: ck.Producer, story: Story, number: int) -> None:
    """The next value of a model, at a time later than its last one's."""
    story.last_ms = max(story.last_ms + 1, int(time.time() * 1000))
    value = _prediction(story.name, story.sent, story.last_ms, float(story.values[story.sent]))
    if story.sent == story.fires:
        story.at_s = time.monotonic()
    partition = (number + number // MODELS) % PARTITIONS  # every model to every partition
    producer.produce("latency.predictions", value, partition=partition)
    story.sent += 1


@contextlib.contextmanager
def _alerts(servers: Place) -> Iterator[dict[str, float]]:
    """When the first alert of each model was read from its topic."""
    consumer = ck.Consumer(
        {"bootstrap.servers": servers.kafka.bootstrap, "group.id": "reader", "fetch.wait.max.ms": 5}
    )
    consumer.assign([ck.TopicPartition("latency.alerts", p, 0) for p in range(PARTITIONS)])
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


def _table(late: Floats, capacity: float, rate: float, behind_s: float, load: float) -> Table:
    p50, p99 = (float(np.quantile(late, q)) for q in (0.5, 0.99))
    bound = 2 * CHECKPOINT_S + 0.5
    beside, alone, check_s = pauses(FEATURES)
    columns = ("", "alerts", "p50 s", "p99 s", "longest s")
    rows: list[list[Cell]] = [
        [f"record to alert, {rate:,.0f} rows/s", len(late), p50, p99, float(late.max())],
        [f"event loop's pauses, check of {FEATURES:,} features", None, None, None, beside],
        ["event loop's pauses, nothing to do", None, None, None, alone],
    ]
    notes = [
        f"One worker with all stages, checkpoint_s = {CHECKPOINT_S:g}; it takes in "
        f"{capacity:,.0f} of these rows a second, of {MODELS} models; sent at half of that or "
        f"{MOST_PER_S:,} a second, which took {load:.0%} of a core; the producer was "
        f"{behind_s:.2f} s behind at worst.",
        f"{DETECTOR.name} over one feature; which record makes it fire was found offline.",
    ]
    notes.append(
        f"The check took {check_s:.1f} s, in a thread as in a worker. Its loop's longest pause is "
        "the machine's too: compare it with that of a loop that has nothing to do as long."
    )
    targets = [
        Target("p99, 2 checkpoint intervals + 0.5 s", p99, at_most=bound),
        Target("longest pause of the loop beside a check, s", beside, at_most=0.05),
    ]
    return Table("latency", "from the record to the alert", columns, rows, targets, notes)
