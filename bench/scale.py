"""`scale`: one worker and two on the same machine, with the broker and Redis beside them."""

import contextlib
import dataclasses
import os
import statistics
import time
from pathlib import Path

import confluent_kafka as ck
import redis
from confluent_kafka.admin import AdminClient

from bench.arrow import PER_MESSAGE, messages_of
from bench.options import Options
from bench.places import place
from bench.processes import Worker, cpu_of
from bench.samples import rows_of
from bench.sessions import PATIENCE_S, Session
from bench.tables import Cell, Table

ROWS = 1_000_000
FEATURES = 20
REFERENCE_ROWS = 2_000
PARTITIONS = 4
COUNTS = (1, 2)
ROUNDS = 2
TOPICS = ("predictions", "events", "signals")


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Seconds of wall time, and of processor time of all workers, of Redis and of this machine.

    moved: bytes in Kafka's logs by topic.
    """

    wall_s: float
    workers_s: float
    redis_s: float
    machine_s: float
    moved: dict[str, int]


def run(options: Options) -> Table:
    """The table. Raises Unavailable without a real Kafka."""
    n = options.rows(ROWS) // PER_MESSAGE * PER_MESSAGE
    messages = messages_of(rows_of(n, int(time.time() * 1000), FEATURES))
    found: dict[int, list[Found]] = {count: [] for count in COUNTS}
    with place(options.folder) as servers:
        for number in range(ROUNDS):
            for count in COUNTS:
                session = Session(servers, options.folder, f"scale{count}x{number}", PARTITIONS)
                found[count].append(_measured(session, messages, count))
    return _table(found, n)


def _measured(session: Session, messages: list[bytes], count: int) -> Found:
    with session.workers(count) as workers:
        first = workers[0]
        first.until(lambda: _members(session) == count, PATIENCE_S, look_s=0.5)
        session.register(rows_of(REFERENCE_ROWS, int(time.time() * 1000), FEATURES, 2), first)
        for worker in workers:
            worker.pause()
        session.produce(messages)
        url = session.servers.redis.url
        begun = _spent(workers), _redis_cpu(url), _machine_cpu(), time.monotonic()
        for worker in workers:
            worker.go_on()
        first.until(session.done, PATIENCE_S, 0.1)
        ended = _spent(workers), _redis_cpu(url), _machine_cpu(), time.monotonic()
    spent, of_redis, machine, wall = (b - a for a, b in zip(begun, ended, strict=True))
    return Found(wall, spent, of_redis, machine, _moved(session))


def _members(session: Session) -> int:
    """Workers of a group that has settled."""
    admin = AdminClient({"bootstrap.servers": session.servers.kafka.bootstrap, "log_level": 2})
    try:
        told = admin.describe_consumer_groups([session.prefix])[session.prefix].result(10)
    except ck.KafkaException:
        return 0
    settled = told.state == ck.ConsumerGroupState.STABLE
    return len(told.members) if settled else 0


def _spent(workers: list[Worker]) -> float:
    return sum(cpu_of(worker.pid) for worker in workers)


def _redis_cpu(url: str) -> float:
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        found = client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def _machine_cpu() -> float:
    """Seconds that all cores have been busy."""
    fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _moved(session: Session) -> dict[str, int]:
    folder = session.folder / "kafka"
    return {
        topic: sum(p.stat().st_size for p in folder.rglob(f"{session.prefix}.{topic}-*/*.log"))
        for topic in TOPICS
    }


def _table(found: dict[int, list[Found]], n: int) -> Table:
    rows: list[list[Cell]] = []
    cores = len(os.sched_getaffinity(0))
    alone = statistics.median(f.wall_s for f in found[COUNTS[0]])
    for count, some in found.items():
        wall = statistics.median(f.wall_s for f in some)
        each = (statistics.median(f.workers_s for f in some), wall)
        of_redis = statistics.median(f.redis_s for f in some)
        busy = statistics.median(f.machine_s / f.wall_s for f in some)
        micros = (each[0] / n * 1e6, of_redis / n * 1e6)
        rows.append([f"{count}", n / wall, alone / wall, *micros, busy])
    moved = found[COUNTS[0]][0].moved
    columns = (
        *("workers", "rows/s wall", "times one worker", "µs CPU a row, workers"),
        *("µs of Redis", f"busy, of {cores} cores"),
    )
    told = ", ".join(f"{topic} {size / n:.0f}" for topic, size in moved.items())
    notes = [
        f"{n:,} rows of {FEATURES} features in messages of {PER_MESSAGE:,}, {PARTITIONS} "
        "partitions, every prediction waits for truth; median of "
        f"{ROUNDS} rounds. Broker and Redis run on the same {cores} cores, so two workers cannot "
        "be twice as fast as one: what they lack is what the others take.",
        f"Bytes a row in Kafka's logs: {told}.",
    ]
    return Table("scale", "Workers on one machine", columns, rows, (), notes)
