"""`peers`: K-S verdicts on the same rows by well-known tools, which are given them in memory."""

import dataclasses
import statistics
import time
from pathlib import Path

import numpy as np

from bench.arrow import PER_MESSAGE, messages_of
from bench.environments import NotInstalled, python_with
from bench.options import Options
from bench.places import Place, place
from bench.processes import Spent, contestant, cpu_of
from bench.samples import HOUR_MS, MODEL, Rows, rows_of
from bench.sessions import Session
from bench.tables import Cell, Table, Target

ROWS = 100_000  # that a verdict is about
WINDOWS = 10
FEATURES = 20
REFERENCE_ROWS = 2_000
PARTITIONS = 4
ROUNDS = 3
LATER_MS = 600_000  # beyond the allowed lateness: the window before is over
SHARED = ("numpy==2.4.6", "pandas==2.3.3", "scipy==1.17.1", "statsmodels==0.15.0")
TOOLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "evidently": ("evidently 0.7.23, DataDriftPreset by K-S", ("evidently==0.7.23", *SHARED)),
    "whylogs": (
        "whylogs 1.6.4, profile and K-S of profiles",
        ("whylogs[viz]==1.6.4", "setuptools==65.5.0", "numpy==1.26.4", "pandas==2.3.3"),
    ),
    "nannyml": ("NannyML 0.13.1, univariate K-S", ("nannyml==0.13.1", *SHARED)),
}
TABLES = f"""
[models.{MODEL}]
expects_truth = false
pane_s = "1h"
windows_s = ["1h"]
"""


def run(options: Options) -> Table:
    """The table. Raises Unavailable without a real Kafka."""
    windows = max(1, round(WINDOWS * options.scale))  # smaller ones would be another test
    known = rows_of(REFERENCE_ROWS, 0, FEATURES, seed=2)
    rows = _rows(windows)
    others, notes = _peers(options.folder, rows.features[:ROWS], known)
    messages = messages_of(rows)
    with place(options.folder) as servers:
        own = [
            driftline(servers, options.folder, f"peers{number}", messages, known)
            for number in range(ROUNDS)
        ]
    return _table(own, others, notes, windows)


def _rows(windows: int) -> Rows:
    """So many windows of ROWS each, and in every partition a message that closes the last."""
    start_ms = (int(time.time() * 1000) // HOUR_MS - windows - 1) * HOUR_MS
    total, more = ROWS * windows, PARTITIONS * PER_MESSAGE
    times = start_ms + np.arange(total, dtype=np.int64) * HOUR_MS // ROWS
    late = np.full(more, start_ms + windows * HOUR_MS + LATER_MS)
    found = rows_of(total + more, 0, FEATURES)
    return dataclasses.replace(found, times_ms=np.append(times, late))


def _peers(folder: Path, rows: np.ndarray, known: Rows) -> tuple[dict[str, Spent], list[str]]:
    """What each took, and why others were not run."""
    reference, current = folder / "reference.npy", folder / "rows.npy"
    np.save(reference, known.features)
    np.save(current, rows)
    found, notes = dict[str, Spent](), list[str]()
    for name, (title, requirements) in TOOLS.items():
        words = (name, str(ROUNDS), str(reference), str(current))
        try:
            python = python_with(name, requirements, name)
            found[name] = contestant(python, "peer", *words)
        except (NotInstalled, RuntimeError) as error:
            notes.append(f"{title} was not run: {error}")
    return found, notes


def driftline(
    servers: Place, folder: Path, prefix: str, messages: list[bytes], known: Rows
) -> Spent:
    """One worker with all stages, until the verdict on the last window is published."""
    session = Session(servers, folder, prefix, PARTITIONS, TABLES)
    with session.workers() as (worker,):
        session.register(known, worker)
        worker.pause()
        session.produce(messages)
        cpu, wall = cpu_of(worker.pid), time.monotonic()
        worker.go_on()
        rows = (len(messages) - PARTITIONS) * PER_MESSAGE
        session.evaluations(lambda found: _judged(found) == rows // ROWS)
        return Spent(rows, cpu_of(worker.pid) - cpu, time.monotonic() - wall)


def _judged(found: list[dict[str, object]]) -> int:
    """Windows of ROWS in which every feature was judged by K-S."""
    whole = set()
    for event in found:
        if event["subject"] == "inputs" and event["rows"] == ROWS:
            readings = event["readings"]
            assert isinstance(readings, list)
            tests = [r for r in readings if r["check"] == "ks" and r["p_value"] is not None]
            if len({r["subject"] for r in tests}) >= FEATURES:
                whole.add(event["id"])
    return len(whole)


def _table(own: list[Spent], others: dict[str, Spent], notes: list[str], windows: int) -> Table:
    cpu = statistics.median(s.micros for s in own)
    wall = statistics.median(s.rows / s.wall_s for s in own)
    rows: list[list[Cell]] = [["Driftline, Arrow batches over Kafka", cpu, 1e6 / cpu, wall, 1.0]]
    targets = []
    for name, (title, _) in TOOLS.items():
        spent = others.get(name)
        if spent is None:
            rows.append([title, "not run", None, None, None])
        else:
            rate = spent.rows / spent.wall_s
            rows.append([title, spent.micros, 1e6 / spent.micros, rate, spent.micros / cpu])
        ratio = None if spent is None else spent.micros / cpu
        targets.append(Target(f"times {title}, by CPU time", ratio, at_least=1.0))
        ratio = None if spent is None else wall / (spent.rows / spent.wall_s)
        targets.append(Target(f"times {title}, by wall time", ratio, at_least=1.0))
    columns = ("", "µs CPU a row", "rows/s a core", "rows/s wall", "ratio")
    notes.append(
        f"A verdict of {FEATURES} K-S tests on every {ROWS:,} rows against a reference of "
        f"{REFERENCE_ROWS:,}. Driftline: {windows} windows in messages of {PER_MESSAGE:,} rows, "
        f"one worker, until the last evaluation is read from its topic, median of {ROUNDS} rounds; "
        f"broker and Redis share its cores. The others: a data frame in memory, {ROUNDS} times "
        "after a warm-up, without the time to load it or the reference."
    )
    return Table("peers", "K-S verdicts beside in-memory tools", columns, rows, targets, notes)
