"""`ingest`: predictions in JSON, from the raw topic to a checkpointed share, beside its rivals."""

import statistics
import sys
import time
from pathlib import Path

from bench.environments import NotInstalled, python_with
from bench.options import Options
from bench.places import Place, place
from bench.processes import Spent, contestant, cpu_of
from bench.samples import rows_of
from bench.sessions import PATIENCE_S, Session
from bench.stages import stages
from bench.tables import Cell, Table, Target

ROWS = 400_000  # what a run costs once, 0.2 s, is not what a row costs
ROUNDS = 3
PARTITIONS = 4
FEATURES = 20
REFERENCE_ROWS = 2_000
QUIX = ("quixstreams==3.28.1", "confluent-kafka==2.12.2", "orjson==3.13.0")
NAMES = {
    "driftline": ("Driftline", "all stages, pending predictions and checkpoints on"),
    "raw": ("(a) the limit", "aiokafka getmany and msgspec's typed decode, nothing else"),
    "plain_faust": ("(b) plain Faust", "an agent that only decodes"),
    "quix": ("(c) Quix Streams", "an application that only decodes and counts"),
}
Sets = dict[str, list[Spent]]


def run(options: Options) -> Table:
    """The table. Raises Unavailable without a real Kafka."""
    n, end_ms = options.rows(ROWS), int(time.time() * 1000)
    values = rows_of(n, end_ms, FEATURES).messages()
    found: Sets = {name: [] for name in NAMES}
    notes = [f"{n:,} records of {len(values[0])} bytes, {FEATURES} features, {ROUNDS} rounds"]
    with place(options.folder) as servers:
        for number in range(ROUNDS):
            prefix = f"ingest{number}"
            found["driftline"].append(driftline(servers, options.folder, prefix, values))
            for name, python in _rivals(notes if number == 0 else []).items():
                words = (servers.kafka.bootstrap, f"{prefix}.predictions", str(n))
                found[name].append(contestant(python, name, *words))
    steps = stages(values, end_ms, FEATURES, PARTITIONS)
    told = ", ".join(f"{name} {micros:.2f}" for name, micros in steps.items())
    notes.append(f"Steps alone, µs a row: {told}; {sum(steps.values()):.2f} in all.")
    return _table(found, notes)


def _rivals(notes: list[str]) -> dict[str, Path | str]:
    pythons: dict[str, Path | str] = {"raw": sys.executable, "plain_faust": sys.executable}
    try:
        pythons["quix"] = python_with("quix", QUIX, "quixstreams")
    except NotInstalled as error:
        notes.append(f"(c) was not run: {error}")
    return pythons


def driftline(servers: Place, folder: Path, prefix: str, values: list[bytes]) -> Spent:
    """One worker with all stages, stopped while Kafka is filled; until all is checkpointed."""
    session = Session(servers, folder, prefix, PARTITIONS)
    known = rows_of(REFERENCE_ROWS, int(time.time() * 1000), FEATURES, seed=2)
    with session.workers() as (worker,):
        session.register(known, worker)
        worker.pause()
        servers.produce(f"{prefix}.predictions", values, PARTITIONS)
        cpu, wall = cpu_of(worker.pid), time.monotonic()
        worker.go_on()
        worker.until(session.done, PATIENCE_S)
        return Spent(len(values), cpu_of(worker.pid) - cpu, time.monotonic() - wall)


def _table(found: Sets, notes: list[str]) -> Table:
    own = found["driftline"]
    rows: list[list[Cell]] = []
    for name, (title, _) in NAMES.items():
        spent = found[name]
        if spent:
            cpu = statistics.median(s.micros for s in spent)
            wall = statistics.median(s.rows / s.wall_s for s in spent)
            rows.append([title, cpu, 1e6 / cpu, wall, _ratio(own, spent)])
        else:
            rows.append([title, None, None, None, None])
    columns = ("", "µs CPU a row", "rows/s a core", "rows/s wall", "ratio")
    targets = [
        Target("of (a), the limit, by CPU time", _ratio(own, found["raw"]), at_least=0.5),
        Target("times (b), plain Faust, by CPU time", _ratio(own, found["plain_faust"]), 8.0),
        Target("times (c), Quix Streams, by CPU time", _ratio(own, found["quix"]), 1.0),
    ]
    notes += [f"{title}: {told}" for title, told in NAMES.values()]
    notes.append(
        "Ratio: how many times its rate Driftline's is. Targets are judged by CPU time a row, the "
        "median of the rounds' ratios: broker, worker and whatever else runs share these cores, "
        "and wall time measures them all."
    )
    return Table("ingest", "JSON, one prediction a message", columns, rows, targets, notes)


def _ratio(own: list[Spent], other: list[Spent]) -> float | None:
    """How many times the rival's rate ours is; each round compared within itself."""
    if not other:
        return None
    return statistics.median(o.micros / d.micros for d, o in zip(own, other, strict=True))
