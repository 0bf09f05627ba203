"""`truth`: a million predictions, and 30 days of truth about them in no order at all.

The figures of the last evaluation are compared with those of the whole log at once.
"""

import contextlib
import dataclasses
import json
import re
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import redis

from agents.arrows import written
from bench.arrow import messages_of
from bench.options import Options
from bench.places import Place, place
from bench.processes import Spent, Worker, cpu_of
from bench.samples import HOUR_MS, MODEL, Rows, rows_of
from bench.sessions import PATIENCE_S, POLL_S, Session
from bench.tables import Cell, Table, Target
from stream.columns import Column, Floats, Ints
from stream.outcomes import Outcomes, outcomes

ROWS = 1_000_000
FEATURES, REFERENCE_ROWS = 2, 2_000
PER_MESSAGE = 1_000
DAY_MS = 24 * HOUR_MS
DAYS = 30
TABLES = f"""[models.{MODEL}]
task = "classification"
pane_s = "1d"
windows_s = ["{2 * DAYS + 2}d"]
horizon_s = "{DAYS}d"
label_lateness_s = "{2 * DAYS + 2}d"  # in no order: the last truth may be the first that was known
max_open_panes = 256
"""
TOLERANCE = 1e-12  # of logarithms, which are rounded twice


@dataclasses.dataclass(frozen=True, eq=False)
class Log:
    """n predictions of DAYS days in order, and their truth in random order of arrival.

    order: shape (n,), which prediction each truth is about. labels, labelled_ms: shape (n,), by
    prediction.
    """

    rows: Rows
    order: Ints
    labels: Ints
    labelled_ms: Ints

    @property
    def end_ms(self) -> int:
        """After all of it."""
        return int(self.labelled_ms.max()) // DAY_MS * DAY_MS + DAY_MS

    def truth(self) -> list[bytes]:
        """The truth as Arrow streams, in the order of its arrival."""
        return [
            _truth(self, self.order[at : at + PER_MESSAGE])
            for at in range(0, len(self.order), PER_MESSAGE)
        ]

    def outcomes(self) -> Outcomes:
        """All of them at once."""
        scores = self.rows.scores
        answers, labels = Column((scores >= 0.5).astype(float)), Column(self.labels.astype(float))
        return outcomes(labels, answers, (("1",), scores[:, None]), task="classification")


def log_of(n: int, end_ms: int, seed: int = 3) -> Log:
    """A log of which the last truth is known before end_ms; the same for the same arguments."""
    random = np.random.default_rng(seed)
    last_ms = end_ms // DAY_MS * DAY_MS - DAYS * DAY_MS
    known = rows_of(n, last_ms, FEATURES, seed)
    times = last_ms - DAYS * DAY_MS + np.arange(n, dtype=np.int64) * DAYS * DAY_MS // n
    labels = (random.random(n) < known.scores).astype(np.int64)
    delays = random.integers(1, DAYS * DAY_MS, n)
    rows = dataclasses.replace(known, times_ms=times)
    return Log(rows, random.permutation(n), labels, times + delays)


def _truth(log: Log, some: Ints) -> bytes:
    return written(
        pa.record_batch(
            {
                "prediction_id": pa.array([f"{i:016x}" for i in some.tolist()]),
                "model": pa.array([MODEL] * len(some)).dictionary_encode(),
                "time": pa.array(log.labelled_ms[some]),
                "label": pa.array(log.labels[some]),
            }
        )
    )


def batch_figures(found: Outcomes) -> dict[str, float]:
    """Means over the whole log, exact and rounded once; of log loss, by NumPy's logarithms."""
    assert found.hit is not None
    assert found.brier is not None
    assert found.probability is not None
    return {
        "accuracy": _mean(found.hit),
        "brier": _mean(found.brier),
        "log_loss": float(-np.log(found.probability).mean()),
    }


def _mean(x: Floats) -> float:
    values, counts = np.unique(x, return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return float(sum((Fraction(value) * n for value, n in pairs), Fraction(0)) / len(x))


def differing(found: dict[str, float], whole: dict[str, float]) -> list[str]:
    """Which figures of the stream are not those of the whole."""
    off = {name: abs(found.get(name, np.inf) - value) for name, value in whole.items()}
    return [name for name, x in off.items() if x > (TOLERANCE if name == "log_loss" else 0.0)]


def run(options: Options) -> Table:
    """The table. Raises Unavailable without a real Kafka."""
    n = options.rows(ROWS) // PER_MESSAGE * PER_MESSAGE
    log = log_of(n, int(time.time() * 1000))
    known = rows_of(REFERENCE_ROWS, int(log.rows.times_ms[0]), FEATURES, seed=2)
    with place(options.folder) as servers:
        spent, memory, figures = _played(servers, options.folder, log, known)
    whole = batch_figures(log.outcomes())
    off = differing(figures, whole)
    rows: list[list[Cell]] = [
        [name, one.micros, one.cpu_s, one.wall_s, one.rows / one.wall_s]
        for name, one in spent.items()
    ]
    rows += [[f"MB of {name}", None, None, None, size] for name, size in memory.items()]
    rows += [[name, None, None, None, figures.get(name)] for name in whole]
    notes = [
        f"{n:,} predictions of {DAYS} days with {FEATURES} features, then truth within {DAYS} days "
        f"of each, shuffled; Arrow messages of {PER_MESSAGE:,}, one worker, 4 partitions. Worker's "
        "memory: the most that was resident; Redis's: the most it used.",
        f"Other than of the whole log at once: {', '.join(off) or 'no figure'}.",
    ]
    targets = [Target("figures that are not those of the batch", len(off), at_most=0)]
    columns = ("", "µs CPU a row", "CPU, s", "wall, s", "rows/s, or the figure")
    return Table("truth", "A month of truth in no order", columns, rows, targets, notes)


def _played(
    servers: Place, folder: Path, log: Log, known: Rows
) -> tuple[dict[str, Spent], dict[str, float], dict[str, float]]:
    session = Session(servers, folder, "truth", tables=TABLES)
    n = len(log.rows)
    with (
        session.workers() as (worker,),
        contextlib.closing(redis.Redis.from_url(servers.redis.url)) as client,
    ):
        session.register(known, worker)
        spent = {"predictions": _taken(session, worker, "predictions", messages_of(log.rows), n)}
        spent["truth"] = _taken(session, worker, "ground-truth", log.truth(), n)
        cpu, wall = cpu_of(worker.pid), time.monotonic()
        found = _last(session, log)
        spent["evaluations"] = Spent(n, cpu_of(worker.pid) - cpu, time.monotonic() - wall)
        memory = {
            "the worker": _peak_bytes(worker.pid) / 1e6,
            "Redis": float(client.info("memory")["used_memory_peak"]) / 1e6,
        }
    return spent, memory, {r["check"]: r["statistic"] for r in found["readings"]}


def _taken(session: Session, worker: Worker, topic: str, messages: list[bytes], n: int) -> Spent:
    """The worker is stopped while Kafka is filled; then until all is checkpointed."""
    worker.pause()
    session.produce(messages, topic)
    cpu, wall = cpu_of(worker.pid), time.monotonic()
    worker.go_on()
    worker.until(lambda: session.done(topic), PATIENCE_S, POLL_S)
    return Spent(n, cpu_of(worker.pid) - cpu, time.monotonic() - wall)


def _last(session: Session, log: Log) -> dict[str, Any]:
    """The evaluation of quality over all of it, once nothing more can come."""
    event = {"type": "watermark", "model": MODEL, "time": log.end_ms}
    session.servers.produce(f"{session.prefix}.control", [json.dumps(event).encode()])
    last: list[dict[str, Any]] = []

    def enough(found: list[dict[str, object]]) -> bool:
        last[:] = [e for e in found if e["subject"] == "quality" and e["rows"] == len(log.rows)]
        return bool(last)

    session.evaluations(enough)
    return last[-1]


def _peak_bytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024.0 * int(re.findall(r"VmHWM:\s+(\d+)", status)[0])
