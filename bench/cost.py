"""`cost`: time and bytes as work grows, on one core, without Kafka and Redis."""

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from bench.options import Options
from bench.samples import HOUR_MS, MODEL, VERSION, Rows, rows_of
from bench.stages import Stages
from bench.tables import Cell, Table, Target
from stream.batches import Batch
from stream.columns import Column
from stream.evaluations import inputs_evaluation
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.signals import ShareName
from stream.subjects import Subject
from stream.windows import Merged, Windows

VALUES = 2_000_000  # of features, that each size of a record is measured on
FETCH_BYTES = 2_000_000  # a megabyte as producers compress it
CHECKPOINT_S = 1.0
FEATURES = (10, 100, 1_000)
MODELS = (1, 10, 100, 1_000)
PARTITIONS = (1, 4, 32)
ROWS = 100_000
WINDOW_ROWS = (10_001, 100_000, 1_000_000, 10_000_000)
WINDOW_PANES = (1, 24, 720)
PANE_ROWS = (1_000, 100_000, 10_000_000)
REFERENCE_ROWS = (1_000, 100_000, 10_000_000)
FILE_COLUMNS = 2
CHECKED, EDGES = 20, 2_048
REPEATS = 5
MOST_SHARE_BYTES = 8 * (2 * EDGES + 4)
COLUMN_COPIES = 5 * 8  # bytes a row: a column, two copies while it is sorted, readers and masks
SAME = 1.25  # what two measurements of one thing may differ by
Lines = list[list[Cell]]


def run(options: Options) -> Table:
    """The table."""
    parts = (_features, _checks, _windows, _shares, _files, _models, _partitions)
    rows: Lines = []
    targets: list[Target] = []
    for part in parts:
        found, aims = part(options)
        rows += found
        targets += aims
    columns = ("what grows", "to", "figure", "of one core, or bytes")
    notes = [
        f"Processor time of one thread, without Kafka and Redis. Ingest: the steps of `ingest`'s "
        f"worker from JSON to counts, {FETCH_BYTES:,} bytes of records at a time, checkpoints "
        "after each second of work. Checks: one evaluation of 20 numeric features.",
        f"State of a numeric feature and pane: at most {MOST_SHARE_BYTES:,} bytes, 8 for each of "
        f"2 x {EDGES:,} + 4 counts, and less while counts are small or few.",
    ]
    return Table("cost", "Time and bytes as work grows", columns, rows, targets, notes)


def _features(options: Options) -> tuple[Lines, list[Target]]:
    rows, whole = Lines(), list[float]()
    for features in FEATURES:
        n = options.rows(VALUES) // features
        stages = Stages(4, _now(), features)
        micros = _fed(stages, rows_of(n, _now(), features).messages(), 4)
        whole.append(micros / features)
        rows.append(["features", features, whole[-1], "µs a value, ingest"])
        for step, spent in stages.spent.items():
            rows.append(["features", features, spent / n / features * 1e6, f"of that: {step}"])
    ratio = whole[-1] / whole[0]
    text = "a value of 1,000 features costs so many times one of 10"
    return rows, [Target(text, ratio, at_most=1.0)]


def _ingest(values: Sequence[bytes], features: int, partitions: int) -> float:
    """Microseconds a row from JSON to counts."""
    stages = Stages(partitions, _now(), features)
    return _fed(stages, values, partitions)


def _fed(stages: Stages, values: Sequence[bytes], partitions: int) -> float:
    own = [values[p::partitions] for p in range(partitions)]
    chunk, last = max(1, FETCH_BYTES // len(values[0])), 0.0
    for at in range(0, len(own[0]), chunk):
        for source in range(partitions):
            if own[source][at:]:
                stages.take(source, at, own[source][at : at + chunk])
        if sum(stages.spent.values()) - last > CHECKPOINT_S:
            stages.checkpoint()
            last = sum(stages.spent.values())
    stages.checkpoint()
    return sum(stages.spent.values()) / len(values) * 1e6


def _reference(features: int = CHECKED) -> Reference:
    """As many edges as there can be."""
    random = np.random.default_rng(3)
    columns = {f"f{i}": Column(random.normal(size=EDGES)) for i in range(features)}
    return Reference.build("bench", "1", columns)


def _share(reference: Reference, n: int) -> Share:
    """Of n rows; many rows are the same ten thousand again and again."""
    random, share = np.random.default_rng(4), Share(reference)
    some = min(n, 10_000)
    columns = {name: Column(random.normal(size=some)) for name in reference.features}
    share.update(columns, None, None, np.zeros(some, dtype=np.int64))
    share.vector *= n // some
    share.rows *= n // some
    more = n - share.rows
    rest = {name: column.take(slice(0, more)) for name, column in columns.items()}
    share.update(rest, None, None, np.zeros(more, dtype=np.int64))
    return share


def _checks(_: Options) -> tuple[Lines, list[Target]]:
    reference, settings = _reference(), ModelSettings()
    of = Subject("bench", "1", settings, 0, HOUR_MS)
    rows: Lines = []
    for n in WINDOW_ROWS:
        merged = Merged(_share(reference, n))
        spent = _least(functools.partial(inputs_evaluation, of, reference, merged))
        rows.append(["rows in the window", n, spent * 1e3, "ms, all checks of 20 features"])
    text = "a check of 10,000,000 rows costs so many times one of 10,001"
    return rows, [Target(text, _cell(rows[-1]) / _cell(rows[0]), at_most=SAME)]


def _windows(_: Options) -> tuple[Lines, list[Target]]:
    reference = _reference()
    raw = _share(reference, 10_000).to_bytes()
    rows: Lines = []
    for panes in WINDOW_PANES:
        windows = Windows("inputs", HOUR_MS)
        for pane in range(panes):
            _add(windows, pane, reference, raw)
        end = panes * HOUR_MS
        merge = functools.partial(windows.merged, window_ms=end, reference=reference, positive="1")
        spent = _least(functools.partial(merge, end), repeats=1)
        rows.append(["window, hours", panes, spent * 1e3, "ms, merging panes of 20 features"])
        _add(windows, panes, reference, raw)
        spent = _least(functools.partial(merge, end + HOUR_MS), repeats=1)
        rows.append(["window, hours", panes, spent * 1e3, "ms, the same an hour later"])
    return rows, []


def _add(windows: Windows, pane: int, reference: Reference, raw: bytes) -> None:
    name = ShareName("inputs", pane * HOUR_MS, 0, 0, reference.id, 10_000)
    windows.name([name])
    windows.add(name, raw, {reference.id: reference})


def _shares(_: Options) -> tuple[Lines, list[Target]]:
    reference = _reference()
    rows: Lines = []
    for n in PANE_ROWS:
        size = len(_share(reference, n).to_bytes()) / CHECKED
        rows.append(["rows in the pane", n, size, "bytes of state, a feature and pane"])
    largest = max(map(_cell, rows))
    return rows, [Target("bytes a feature and pane", largest, at_most=MOST_SHARE_BYTES)]


def _files(options: Options) -> tuple[Lines, list[Target]]:
    rows: Lines = []
    targets = []
    for kind in ("Parquet", "CSV"):
        peaks = {}
        for n in map(options.rows, REFERENCE_ROWS):
            told = _registered(options.folder / f"{n}.{kind}", kind, n)
            peaks[n] = told["peak_bytes"]
            rows.append([f"reference rows, {kind}", n, told["cpu_s"], "s to register"])
            rows.append([f"reference rows, {kind}", n, peaks[n] / 1e6, "MB at the peak"])
        (few, low), (most, high) = min(peaks.items()), max(peaks.items())
        each = (high - low) / (most - few)
        text = f"bytes of memory a row of {kind}, whatever the columns"
        targets.append(Target(text, each, at_most=COLUMN_COPIES))
    return rows, targets


def _registered(path: Path, kind: str, n: int) -> dict[str, float]:
    random = np.random.default_rng(5)
    table = pa.table({f"f{i}": random.normal(size=n).round(4) for i in range(FILE_COLUMNS)})
    write = pyarrow.parquet.write_table if kind == "Parquet" else pyarrow.csv.write_csv
    write(table, path)
    command = [sys.executable, "-m", "bench.registrant", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    path.unlink()
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _models(options: Options) -> tuple[Lines, list[Target]]:
    n, rows = options.rows(ROWS), Lines()
    plain = rows_of(n, _now(), CHECKED).messages()
    known = _event(rows_of(100, _now(), CHECKED, seed=2))
    for models in MODELS:
        stages = Stages(4, _now(), CHECKED)
        for model in range(models):
            event = _renamed(known, model)
            for ledger in stages.ledgers:
                row = (model + 1, stages.now_ms, event)
                ledger.apply(Batch("", 0, "", model + 1, model + 1, stages.now_ms, [], [row]), {})
        for ledger in stages.ledgers:
            ledger.changes()
        values = [_renamed(value, i % models) for i, value in enumerate(plain)]
        rows.append(["models", models, _fed(stages, values, 4), "µs a row, ingest"])
    return rows, []


def _event(known: Rows) -> bytes:
    """The rows as a reference that is counted already: registering a thousand takes no time."""
    columns = dict(zip(known.names, map(Column, known.features.T), strict=True))
    (part,) = Reference.build(MODEL, VERSION, columns).to_parts(2**30, time=_now(), active_from=0)
    return msgspec.json.encode({k: v for k, v in part.items() if k != "reference_id"})


def _renamed(event: bytes, model: int) -> bytes:
    return event.replace(b'"model":"bench"', b'"model":"m%04d"' % model)


def _partitions(options: Options) -> tuple[Lines, list[Target]]:
    values = rows_of(options.rows(ROWS), _now(), CHECKED).messages()
    return [
        ["partitions", count, _ingest(values, CHECKED, count), "µs a row, ingest"]
        for count in PARTITIONS
    ], []


def _least(what: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of processor time of the quickest of some."""
    found = []
    for _ in range(repeats):
        start = time.thread_time()
        what()
        found.append(time.thread_time() - start)
    return min(found)


def _cell(row: Sequence[Cell]) -> float:
    figure = row[2]
    assert isinstance(figure, int | float)
    return float(figure)


def _now() -> int:
    return int(time.time() * 1000)
