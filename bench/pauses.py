"""Pauses: how late an event loop turns, beside a check of 1,000 features and in a whole worker."""

import asyncio
import dataclasses
import re
import time
import urllib.request
from collections.abc import Awaitable, Callable

import msgspec
import numpy as np

from agents.beside import share_evenly, unhurried
from agents.embedded import free_port
from agents.lags import lags
from bench.options import Options
from bench.places import Place
from bench.processes import Worker
from bench.samples import HOUR_MS, MODEL, VERSION, Rows, rows_of
from bench.sessions import PATIENCE_S, Session
from stream.columns import Column, column_of
from stream.evaluations import inputs_evaluation
from stream.leisure import Leisure
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.subjects import Subject
from stream.windows import Merged

FEATURES = 1_000
ROWS = 10_000  # of the check alone
DISTINCT = 400  # values a feature has
WORKER_ROWS = 6_000  # that a worker takes in, of three hours
REFERENCE_ROWS = 2_000
PART_BYTES = 500_000  # of a reference that is registered
IDLE_S = 10.0
BUCKET = re.compile(r'^driftline_loop_lag_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)$', re.M)


@dataclasses.dataclass(frozen=True, slots=True)
class Pauses:
    """How late the loop turned, in seconds, by looks 20 ms apart."""

    what: str
    looks: int
    p50_s: float
    p99_s: float
    longest_s: float
    judged: bool = True
    note: str = ""


def beside_check() -> Pauses:
    """Of a loop with nothing else to do, beside one check in a thread as in a worker."""
    evaluate = _evaluation()
    share_evenly()
    began = time.monotonic()
    beside = asyncio.run(_lags(lambda: unhurried(evaluate, lambda: True)))
    took_s = time.monotonic() - began
    alone = asyncio.run(_lags(lambda: asyncio.sleep(took_s)))
    note = (
        f"The check alone took {took_s:.1f} s in a thread. With nothing to do for as long, the "
        f"longest pause was {max(alone):.3f} s: that is the machine's."
    )
    p50_s, p99_s = (float(np.quantile(beside, q)) for q in (0.5, 0.99))
    what = f"a check of {FEATURES:,} features"
    return Pauses(what, len(beside), p50_s, p99_s, max(beside), note=note)


async def _lags(work: Callable[[], Awaitable[object]]) -> list[float]:
    seen, done = [0.0], False
    looking = asyncio.create_task(lags(seen.append, lambda: done))
    await work()
    done = True
    await looking
    return seen


def _evaluation() -> Callable[[Leisure], object]:
    random = np.random.default_rng(1)
    first, second = ({f"f{i:04}": _column(random) for i in range(FEATURES)} for _ in range(2))
    reference = Reference.build("m", "1", first)
    share = Share(reference)
    share.update(second, None, None, np.arange(ROWS))
    of = Subject("m", "1", ModelSettings(), 0, 86_400_000)
    return lambda leisure: inputs_evaluation(of, reference, Merged(share), None, leisure)


def _column(random: np.random.Generator) -> Column:
    return column_of(random.integers(0, DISTINCT, ROWS).astype(float))


def in_worker(servers: Place, options: Options) -> list[Pauses]:
    """Of a worker with all stages and default settings: with nothing to do, and while it takes in
    rows of 1,000 features as fast as it can and judges the hours that they fill.
    """
    now_ms = int(time.time() * 1000)
    rows = _hours(rows_of(options.rows(WORKER_ROWS), now_ms, FEATURES), now_ms)
    port = free_port()
    session = Session(servers, options.folder, "pauses", http_port=port)
    with session.workers() as (worker,):
        _register(session, worker, now_ms)
        start = _buckets(port)
        time.sleep(IDLE_S)
        idle = _buckets(port)
        began = time.monotonic()
        servers.produce("pauses.predictions", rows.messages(), session.partitions)
        worker.until(session.done, PATIENCE_S)
        session.evaluations(lambda found: len(found) >= 2)
        took_s = time.monotonic() - began
        end = _buckets(port)
    note = (
        f"A worker took in {len(rows):,} rows of {FEATURES:,} features in JSON and judged two "
        f"hours of them in {took_s:.0f} s. Its pauses are read from its own histogram "
        "(`driftline_loop_lag_seconds`), so they are bounds."
    )
    return [
        _between("a worker with nothing to do", start, idle, judged=False),
        _between(f"a worker with {FEATURES:,} features", idle, end, note=note),
    ]


def _hours(rows: Rows, end_ms: int) -> Rows:
    """The rows spread over the last three hours."""
    times = end_ms - 3 * HOUR_MS + np.arange(len(rows), dtype=np.int64) * 3 * HOUR_MS // len(rows)
    return dataclasses.replace(rows, times_ms=times)


def _register(session: Session, worker: Worker, now_ms: int) -> None:
    known = rows_of(REFERENCE_ROWS, now_ms, FEATURES, seed=2)
    columns = dict(zip(known.names, map(Column, known.features.T), strict=True))
    reference = Reference.build(MODEL, VERSION, columns)
    parts = reference.to_parts(PART_BYTES, time=now_ms, active_from=0)
    session.servers.produce("pauses.control", [msgspec.json.encode(part) for part in parts])
    worker.until(session.registered, PATIENCE_S)


Buckets = dict[float, int]


def _buckets(port: int) -> Buckets:
    """Looks that were at most so late, by seconds."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {float(edge): int(float(count)) for edge, count in BUCKET.findall(text)}


def _between(
    what: str, before: Buckets, after: Buckets, *, judged: bool = True, note: str = ""
) -> Pauses:
    """Each figure is the edge of the bucket that it lies in."""
    grown = {edge: after[edge] - before[edge] for edge in sorted(after)}
    looks = max(grown.values())

    def at(share: float) -> float:
        return next(edge for edge, count in grown.items() if count >= share * looks)

    return Pauses(what, looks, at(0.5), at(0.99), at(1.0), judged, note)
