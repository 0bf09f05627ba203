"""A small made-up story, and ways to play it: what the tests of the watch share."""

import dataclasses
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from stream.columns import column_of
from stream.events import Prediction, Truth
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.settings import DAY_S, DetectorSettings, ModelSettings

DAY_MS = DAY_S * 1000
START_MS = 19_000 * DAY_MS
FOR_EVER_S = 1e12
Event = Prediction | Truth
Published = dict[str, list[bytes]]

# days that are judged as soon as they are over
DAILY = ModelSettings(
    pane_s=DAY_S, windows_s=(DAY_S,), lateness_s=0, label_lateness_s=0, idle_s=FOR_EVER_S
)
SETTINGS = ModelSettings(
    owner="team-risk",
    pane_s=DAY_S,
    windows_s=(DAY_S, 3 * DAY_S),
    lateness_s=0,
    label_lateness_s=0,
    idle_s=FOR_EVER_S,
    false_alarms_per_month=10,
    minimum_rows=30,
    reference_rows=100,
    retrain_minimum_labels=50,
    detectors=(
        DetectorSettings("ADWIN"),
        DetectorSettings("PageHinkley", "score", parameters={"threshold": 10.0}),
        DetectorSettings("ADWIN", "x"),
        DetectorSettings("ADWIN", "x", raw=True),
    ),
)
KEYS = """
owner = "team-risk"
pane_s = "1d"
windows_s = ["1d", "3d"]
lateness_s = 0
label_lateness_s = 0
idle_s = 1e12
false_alarms_per_month = 10
minimum_rows = 30
reference_rows = 100
retrain_minimum_labels = 50
detectors = [
    { name = "ADWIN" },
    { name = "PageHinkley", signal = "score", parameters = { threshold = 10.0 } },
    { name = "ADWIN", signal = "x" },
    { name = "ADWIN", signal = "x", raw = true },
]
"""
"""The same settings as a worker reads them: to be put below the name of a table."""


@dataclasses.dataclass(frozen=True)
class Tale:
    """Events in order of event time, and where it all began."""

    reference: Reference
    events: Sequence[Event]
    end_ms: int


def named(alerts: Sequence[dict[str, Any]], state: str = "firing") -> set[str]:
    """What alerts in a state were about, feature by feature."""
    return {part["cause"] for e in alerts if e["state"] == state for part in e["parts"]}


def tale(days: int = 8, rows: int = 60, delay_ms: int = 2 * DAY_MS, seed: int = 1) -> Tale:
    """Two numbers and a category; in the second half x moves, c gains a name, truth turns."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    for i in range(days * rows):
        time_ms = START_MS + i * DAY_MS // rows
        late = i >= days * rows // 2
        features, p, label = _row(rng, late)
        said = "1" if p > 0.5 else "0"
        key = f"p{i}"
        events.append(Prediction(key, "m", "1", time_ms, features, prediction=said, score=p))
        events.append(Truth(key, "m", time_ms + delay_ms, label))
    end_ms = START_MS + days * DAY_MS
    events = sorted((e for e in events if e.time < end_ms), key=lambda e: e.time)
    return Tale(_reference(rng), events, end_ms)


def _row(rng: np.random.Generator, late: bool) -> tuple[dict[str, Any], float, str]:
    x, y = float(rng.normal(2.0 * late)), float(rng.exponential())
    names = ("a", "b", "c") if late else ("a", "b")
    p = 1.0 / (1.0 + np.exp(-2.0 * x))
    truth = rng.random() < (0.5 if late else p)
    return {"x": x, "y": y, "c": str(rng.choice(names))}, float(p), str(int(truth))


def _reference(rng: np.random.Generator, rows: int = 400) -> Reference:
    found = [_row(rng, False) for _ in range(rows)]
    sure = np.array([max(p, 1.0 - p) for _, p, _ in found])
    right = [(p > 0.5) == (label == "1") for _, p, label in found]
    return Reference.build(
        "m",
        "1",
        {name: column_of([f[name] for f, _, _ in found]) for name in ("x", "y", "c")},
        prediction=column_of(["1" if p > 0.5 else "0" for _, p, _ in found]),
        confidence=sure,
        quality={"accuracy": float(np.mean(right))},
        task="classification",
    )


@dataclasses.dataclass(frozen=True)
class Way:
    """How a story is played: nothing of this may show in what comes out."""

    partitions: int = 1
    sources: int = 1
    chunk: int = 100
    seed: int = 0
    restart: bool = False


def ways(*sizes: int) -> st.SearchStrategy[Way]:
    """Any way, in chunks of one of these sizes."""
    return st.builds(
        Way,
        st.sampled_from((1, 2, 4)),
        st.sampled_from((1, 3)),
        st.sampled_from(sizes),
        st.integers(0, 99),
        st.booleans(),
    )


def chunks(
    events: Sequence[Event], way: Way, times_ms: Sequence[int] | None = None
) -> Iterator[tuple[str, int, list[Any]]]:
    """Chunks of the source partitions, each in its order, in any order among them.

    times_ms: of their records; not given: those of the events.
    """
    rng = random.Random(way.seed)
    rows: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for i, event in enumerate(events):
        topic = "predictions" if isinstance(event, Prediction) else "ground-truth"
        own = rows[topic, (i * 7919) % way.sources]
        own.append((len(own), times_ms[i] if times_ms else event.time, event))
    while rows:
        at = rng.choice(sorted(rows))
        own = rows[at]
        yield *at, own[: way.chunk]
        rows[at] = own[way.chunk :]
        if not rows[at]:
            del rows[at]


def play(told: Tale, settings: ModelSettings, way: Way, *, known: bool = True) -> Pipeline:
    """Feed it all, with a checkpoint after each chunk. known: the reference is registered."""
    pipeline = Pipeline(lambda _: settings, way.partitions, way.sources)
    for part in told.reference.to_parts(600_000, time=START_MS) if known else ():
        pipeline.control(part)
    feed(pipeline, told.events, way)
    pipeline.control({"type": "watermark", "model": "m", "time": told.end_ms})
    pipeline.checkpoint()
    return pipeline


def fed(
    events: Sequence[Event],
    settings: ModelSettings,
    way: Way,
    times_ms: Sequence[int] | None = None,
) -> Pipeline:
    """A pipeline that was given all of it, and does not know that this is all."""
    pipeline = Pipeline(lambda _: settings, way.partitions, way.sources)
    feed(pipeline, events, way, times_ms)
    return pipeline


def feed(
    pipeline: Pipeline, events: Sequence[Event], way: Way, times_ms: Sequence[int] | None = None
) -> None:
    """Give it all of it, with a checkpoint after each chunk."""
    for topic, partition, rows in chunks(events, way, times_ms):
        pipeline.rows(topic, partition, rows, rows[-1][1])
        pipeline.checkpoint()
        if way.restart:
            pipeline.restart()


def published(pipeline: Pipeline) -> Published:
    """What came out, by topic, in an order that does not depend on when it came."""
    found: Published = defaultdict(list)
    for message in pipeline.published:
        found[message.topic].append(message.value)
    return {topic: sorted(values) for topic, values in found.items()}


def events(pipeline: Pipeline, topic: str) -> list[dict[str, Any]]:
    """What came out on a topic, in order, as plain values."""
    return [json.loads(m.value) for m in pipeline.published if m.topic == topic]


def without_offsets(found: Published) -> Published:
    """Offsets are those of source partitions, and differ where their number does."""
    requests = [json.loads(raw) for raw in found.get("retrain-requests", [])]
    for request in requests:
        del request["data"]["offsets"]
    plain = [json.dumps(request).encode() for request in requests]
    return found | {"retrain-requests": plain}
