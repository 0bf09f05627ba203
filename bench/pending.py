"""`pending`: what predictions that wait for truth take of Redis, and how fast they come and go."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterator

import numpy as np
from redis.asyncio import Redis

from agents.embedded import EmbeddedRedis
from agents.store import Changes, Partition, Store
from bench.options import Options
from bench.tables import Cell, Table, Target
from stream.columns import Hashes
from stream.entries import pack_entry
from stream.joins import Entry, Forecast
from stream.names import Names
from tests.servers import redis_binary

SIZES = (10_000, 1_000_000, 10_000_000)
BATCH = 20_000  # entries a checkpoint
LOOKED_UP = 100_000
MOST_BYTES = 40.0
MOST_MS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What n entries took: bytes of Redis each, and seconds of wall time and of Redis's CPU."""

    n: int
    bytes_each: float
    write_s: float
    redis_s: float
    lookup_s: float
    scan_s: float
    slowest_ms: float


def run(options: Options) -> Table:
    """The table; real Redis, the store's own code, one partition."""
    found = [asyncio.run(_measured(options.rows(n))) for n in SIZES]
    rows: list[list[Cell]] = [
        [
            f"{f.n:,}",
            f.bytes_each,
            f.n / f.write_s,
            f.redis_s / f.n * 1e6,
            LOOKED_UP / f.lookup_s,
            f.n / f.scan_s,
            f.slowest_ms,
        ]
        for f in found
    ]
    columns = (
        *("entries", "bytes each", "written/s", "µs of Redis each"),
        *("looked up/s", "scanned/s", "slowest script, ms"),
    )
    targets = [
        Target(f"bytes each, {f.n:,} entries", f.bytes_each, at_most=MOST_BYTES) for f in found
    ]
    targets.append(Target("slowest script, ms", max(f.slowest_ms for f in found), at_most=MOST_MS))
    notes = [
        "Growth of used_memory over entries of an unsegmented binary prediction with its score, "
        f"written by checkpoints of {BATCH:,} entries. The slowest script as Redis's slow log has "
        "it, by wall time: whatever else runs on the machine is in it."
    ]
    return Table("pending", "Predictions that wait for truth", columns, rows, targets, notes)


async def _measured(n: int) -> Found:
    """What Redis takes once and for all is there before: scripts, and a histogram a command.

    Each reading has a connection of its own: the buffers of busy ones count as used memory.
    """
    with _server() as server:
        async with Redis.from_url(server.url) as client:
            await _filled(client, 1_000, "warm")
        before = await _memory(server.url)
        async with Redis.from_url(server.url) as client:
            found = await _filled(client, n)
        return dataclasses.replace(found, bytes_each=(await _memory(server.url) - before) / n)


@contextlib.contextmanager
def _server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(redis_binary(), hash_max_listpack_entries="512") as server:
        yield server


async def _filled(client: Redis, n: int, stage: str = "ledger") -> Found:
    await client.config_set("slowlog-log-slower-than", 1_000)
    await client.config_set("slowlog-max-len", 1_024)
    partition, ids, cpu = Store(client).partition(stage, 0), ids_of(n), await _cpu(client)
    written_s = await _write(partition, ids)
    spent = await _cpu(client) - cpu
    assert partition.pending_count == n
    lookup_s = await _lookups(partition, ids)
    scan_s = await _scan(partition, n)
    slowest = max((e["duration"] for e in await client.slowlog_get(1_024)), default=0) / 1_000
    await client.slowlog_reset()  # it counts as used memory
    return Found(n, 0.0, written_s, spent, lookup_s, scan_s, slowest)


def ids_of(n: int) -> Hashes:
    """So many ids; the same for the same number."""
    return np.random.default_rng(1).integers(0, 2**64, n, dtype=np.uint64)


async def _write(partition: Partition, ids: Hashes) -> float:
    """Seconds of the checkpoints alone."""
    written_s = 0.0
    await partition.claim()
    for at in range(0, len(ids), BATCH):
        puts = entries_of(ids[at : at + BATCH])
        start = time.perf_counter()
        await partition.checkpoint(partition.prepare(Changes(pending_puts=puts), at, None))
        written_s += time.perf_counter() - start
    return written_s


def entries_of(ids: Hashes) -> dict[int, bytes]:
    """As `stream.matches` keeps a binary prediction with its score."""
    words, random = Names(["1"]), np.random.default_rng(int(ids[0] >> np.uint64(1)))
    now_ms, scores = int(time.time() * 1000), random.random(len(ids)).tolist()
    return {
        key: pack_entry(Entry([Forecast(1, now_ms, float(p > 0.5), (("1", p),))]), words)
        for key, p in zip(ids.tolist(), scores, strict=True)
    }


async def _lookups(partition: Partition, ids: Hashes) -> float:
    asked = np.resize(np.random.default_rng(2).permutation(ids), LOOKED_UP)
    start = time.perf_counter()
    for at in range(0, LOOKED_UP, 5_000):
        some = asked[at : at + 5_000]
        assert len(await partition.pending(some)) == len(np.unique(some))
    return time.perf_counter() - start


async def _scan(partition: Partition, n: int) -> float:
    start, cursor, seen = time.perf_counter(), 0, 0
    while True:
        cursor, some = await partition.scan_pending(cursor)
        seen += len(some)
        if cursor == 0:
            break
    assert seen == n
    return time.perf_counter() - start


async def _memory(url: str) -> int:
    async with Redis.from_url(url) as client:
        return int((await client.info("memory"))["used_memory"])


async def _cpu(client: Redis) -> float:
    found = await client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])
