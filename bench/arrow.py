"""`arrow`: predictions as Arrow batches, from the raw topic to a checkpointed share."""

import asyncio
import contextlib
import dataclasses
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka as ck
import numpy as np
import pyarrow as pa
import redis
from redis.asyncio import Redis

from agents.arrows import MEDIA_TYPE, written
from agents.store import Changes, Store
from bench.options import Options
from bench.pending import entries_of, ids_of
from bench.places import Place, place
from bench.processes import Spent, Worker, contestant, cpu_of
from bench.samples import MODEL, VERSION, Rows, reference_event, rows_of
from bench.tables import Cell, Table, Target

ROWS = 2_000_000
JSON_ROWS = 50_000
PER_MESSAGE = 1_000
ROUNDS = 3
PARTITIONS = 4
FEATURES = 20
REFERENCE_ROWS = 2_000
PACKED = 1_000  # entries a call where nothing but Redis is measured
PATIENCE_S = 300.0
HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", MEDIA_TYPE.encode())]
NAMES = {
    "alone": "Driftline, truth not expected",
    "waiting": "Driftline, predictions wait for truth",
    "limit": "NumPy searchsorted + bincount, columns in memory",
    "packed": "the same packed entries alone into Redis, one script a thousand",
    "stored": "the same entries alone through checkpoints",
    "plain_faust": "(b) plain Faust agent, JSON, decodes only",
}


def run(options: Options) -> Table:
    """The table. Raises Unavailable without a real Kafka."""
    n, end_ms = options.rows(ROWS) // PER_MESSAGE * PER_MESSAGE, int(time.time() * 1000)
    rows = rows_of(n, end_ms, FEATURES)
    messages = messages_of(rows)
    known = rows_of(REFERENCE_ROWS, end_ms, FEATURES, seed=2)
    found: dict[str, list[Spent]] = {name: [] for name in NAMES}
    with place(options.folder) as servers:
        for number in range(ROUNDS):
            for name in ("alone", "waiting"):
                session = Session(servers, options.folder, f"{name}{number}", name == "waiting")
                found[name].append(session.measured(messages, known))
            found["limit"].append(limit(rows, known))
            found["packed"].append(packed(servers.redis.url, n, f"packed{number}"))
            found["stored"].append(stored(servers.redis.url, n, f"stored{number}"))
            found["plain_faust"].append(_faust(servers, options.rows(JSON_ROWS), f"json{number}"))
    note = (
        f"{n:,} rows in messages of {PER_MESSAGE:,} rows and {len(messages[0]):,} bytes, {FEATURES}"
        f" features, one worker, {PARTITIONS} partitions, {ROUNDS} rounds"
    )
    return _table(found, note)


def messages_of(rows: Rows) -> list[bytes]:
    """The rows as Arrow streams."""
    return [_message(rows, at) for at in range(0, len(rows), PER_MESSAGE)]


def _message(rows: Rows, at: int) -> bytes:
    part = slice(at, at + PER_MESSAGE)
    scores = rows.scores[part]
    columns = [pa.array(column) for column in rows.features[part].T.copy()]
    return written(
        pa.record_batch(
            {
                "prediction_id": pa.array([f"{i:016x}" for i in range(at, at + len(scores))]),
                "model": pa.array([MODEL] * len(scores)).dictionary_encode(),
                "version": pa.array([VERSION] * len(scores)).dictionary_encode(),
                "time": pa.array(rows.times_ms[part]),
                "features": pa.StructArray.from_arrays(columns, rows.names),
                "prediction": pa.array((scores >= 0.5).astype(np.int64)),
                "score": pa.array(scores),
            }
        )
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """One worker with all stages on topics and keys of its own."""

    servers: Place
    folder: Path
    prefix: str
    expects_truth: bool

    def measured(self, messages: list[bytes], known: Rows) -> Spent:
        """The worker is stopped while Kafka is filled, and timed until all is checkpointed."""
        with self._worker() as worker:
            now_ms = int(time.time() * 1000)
            self.servers.produce(f"{self.prefix}.control", [reference_event(known, now_ms)])
            worker.until(self._registered, PATIENCE_S)
            worker.pause()
            self._produce(messages)
            cpu, wall = cpu_of(worker.pid), time.monotonic()
            worker.go_on()
            worker.until(self._done, PATIENCE_S, 0.1)
            spent = cpu_of(worker.pid) - cpu, time.monotonic() - wall
            return Spent(len(messages) * PER_MESSAGE, *spent)

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        config = self.folder / f"{self.prefix}.toml"
        config.write_text(
            f"""
            [kafka]
            brokers = ["{self.servers.kafka.bootstrap}"]
            group_id = "{self.prefix}"
            session_timeout_s = 60  # it is stopped while Kafka is filled
            request_timeout_s = 60
            [redis]
            url = "{self.servers.redis.url}"
            key_prefix = "{self.prefix}"
            [topics]
            prefix = "{self.prefix}"
            partitions = {PARTITIONS}
            [http]
            port = 0
            [models.{MODEL}]
            expects_truth = {str(self.expects_truth).lower()}
            """
        )
        worker = Worker(config, self.folder / f"{self.prefix}.log")
        try:
            worker.until(lambda: self.servers.has(f"{self.prefix}.control"), PATIENCE_S)
            yield worker
        finally:
            worker.close()

    def _produce(self, messages: list[bytes]) -> None:
        settings = {"bootstrap.servers": self.servers.kafka.bootstrap, "linger.ms": 20}
        limits = {"queue.buffering.max.kbytes": 1_000_000, "compression.type": "lz4"}
        producer = ck.Producer(settings | limits)
        for i, value in enumerate(messages):
            topic, to = f"{self.prefix}.predictions", i % PARTITIONS
            producer.produce(topic, value, partition=to, headers=HEADERS)
            producer.poll(0)
        assert producer.flush(PATIENCE_S) == 0

    def _registered(self) -> bool:
        with contextlib.closing(redis.Redis.from_url(self.servers.redis.url)) as client:
            keys = (f"{self.prefix}:{{ledger:{p}}}:state" for p in range(PARTITIONS))
            return all(any(MODEL.encode() in f for f in client.hkeys(key)) for key in keys)

    def _done(self) -> bool:
        """Whether intake has acknowledged all, and what it published is checkpointed."""
        config = {"bootstrap.servers": self.servers.kafka.bootstrap, "group.id": self.prefix}
        reader = ck.Consumer(config)
        try:
            raw, events = (
                [ck.TopicPartition(f"{self.prefix}.{name}", p) for p in range(PARTITIONS)]
                for name in ("predictions", "events")
            )
            ends = [reader.get_watermark_offsets(tp, timeout=10)[1] for tp in raw]
            if [tp.offset for tp in reader.committed(raw, timeout=10)] != ends:
                return False
            return self._positions() == [reader.get_watermark_offsets(tp)[1] for tp in events]
        finally:
            reader.close()

    def _positions(self) -> list[int]:
        with contextlib.closing(redis.Redis.from_url(self.servers.redis.url)) as client:
            metas = (f"{self.prefix}:{{ledger:{p}}}:meta" for p in range(PARTITIONS))
            return [int(client.hget(meta, "next") or -1) for meta in metas]


def limit(rows: Rows, known: Rows) -> Spent:
    """Rank codes counted, and nothing else."""
    edges = [np.unique(column) for column in known.features.T]
    columns = list(rows.features.T.copy())
    cpu, wall = time.process_time(), time.monotonic()
    for mine, column in zip(edges, columns, strict=True):
        np.bincount(np.searchsorted(mine, column), minlength=len(mine) + 1)
    return Spent(len(rows), time.process_time() - cpu, time.monotonic() - wall)


def packed(url: str, n: int, prefix: str) -> Spent:
    """Entries of one size as one argument, one HSET each inside the script. cpu_s: of Redis."""
    text = """
    for i = 1, #ARGV[1], 28 do
      local hash = string.sub(ARGV[1], i, i + 7)
      local a, b, c = string.byte(hash, 1, 3)
      local bucket = KEYS[1] .. ((a * 256 + b) * 256 + c) % tonumber(ARGV[2])
      redis.call('HSET', bucket, hash, string.sub(ARGV[1], i + 8, i + 27))
    end
    """
    entries = entries_of(ids_of(n))
    raw = b"".join(struct.pack(">Q", key) + value for key, value in entries.items())
    buckets, size = max(1, n // 64), PACKED * 28
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        script = client.register_script(text)
        cpu, wall = _redis_cpu(client), time.monotonic()
        for at in range(0, len(raw), size):
            script(keys=[f"{{{prefix}}}:"], args=[raw[at : at + size], buckets])
        return Spent(n, _redis_cpu(client) - cpu, time.monotonic() - wall)


def stored(url: str, n: int, prefix: str) -> Spent:
    """The same through the store: staged, committed, applied. cpu_s: of Redis."""

    async def main() -> float:
        async with Redis.from_url(url) as client:
            partition, spent = Store(client, prefix).partition("ledger", 0), 0.0
            await partition.claim()
            ids = ids_of(n)
            for at in range(0, n, 20_000):
                puts = entries_of(ids[at : at + 20_000])
                start = time.monotonic()
                await partition.checkpoint(partition.prepare(Changes(pending_puts=puts), at, None))
                spent += time.monotonic() - start
            return spent

    with contextlib.closing(redis.Redis.from_url(url)) as client:
        cpu = _redis_cpu(client)
        wall = asyncio.run(main())
        return Spent(n, _redis_cpu(client) - cpu, wall)


def _redis_cpu(client: redis.Redis) -> float:
    found = client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def _faust(servers: Place, n: int, prefix: str) -> Spent:
    topic = f"{prefix}.predictions"
    servers.produce(topic, rows_of(n, int(time.time() * 1000), FEATURES).messages())
    return contestant(sys.executable, "plain_faust", servers.kafka.bootstrap, topic, str(n))


def _table(found: dict[str, list[Spent]], note: str) -> Table:
    rows: list[list[Cell]] = []
    for name, title in NAMES.items():
        cpu = statistics.median(s.micros for s in found[name])
        wall = statistics.median(s.rows / s.wall_s for s in found[name])
        rows.append([title, cpu, 1e6 / cpu if cpu else None, wall])
    columns = ("", "µs CPU a row", "rows/s of a core", "rows/s of wall time")
    alone, waiting = found["alone"], found["waiting"]
    targets = [
        Target("without truth, of the limit, by CPU time", _by_cpu(alone, found["limit"]), 0.3),
        Target("without truth, times (b), by CPU time", _by_cpu(alone, found["plain_faust"]), 50),
        Target("waiting, of the packed entries alone, by time", _by_wall(waiting, found), 0.6),
    ]
    notes = [
        note,
        "500,000 rows a second where (b) reaches 10,000 is 50 times (b). Of Redis alone the CPU is "
        "that of Redis.",
    ]
    return Table("arrow", "Arrow batches of 1,000 rows", columns, rows, targets, notes)


def _by_cpu(own: list[Spent], other: list[Spent]) -> float:
    """How many times the other's rate ours is; each round compared within itself."""
    return statistics.median(o.micros / d.micros for d, o in zip(own, other, strict=True))


def _by_wall(own: list[Spent], found: dict[str, list[Spent]]) -> float:
    rates = zip(own, found["packed"], strict=True)
    return statistics.median((d.rows / d.wall_s) / (o.rows / o.wall_s) for d, o in rates)
