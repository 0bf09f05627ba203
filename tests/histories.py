"""Histories: predictions and statements of the truth about them, and what they come to.

The join as one would write it down: all that was ever said of an id lies in a list, and the truth
of a prediction at a time is the highest of what was said of it by then.
"""

import dataclasses
import random
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from stream.events import Prediction, Scalar, Truth
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.scores import cells, middles
from stream.settings import ModelSettings
from tests.tales import FOR_EVER_S, START_MS

Kind = Literal["score", "two", "three", "words", "numbers"]
Event = Prediction | Truth
Row = tuple[int, int, Event]
PANE_MS, PANES = 10_000, 5
WHOLE_MS = PANES * PANE_MS
HORIZON_MS = 3 * PANE_MS
END_MS = START_MS + WHOLE_MS
LATE_MS = 7_000
SETTINGS = ModelSettings(
    pane_s=PANE_MS // 1000,
    windows_s=(PANE_MS // 1000, WHOLE_MS // 1000),
    horizon_s=HORIZON_MS // 1000,
    idle_s=FOR_EVER_S,
    minimum_rows=2,
    complete_coverage=1.0,
    quantile=0.8,
)
Pair = tuple[Prediction, Scalar]


@dataclasses.dataclass(frozen=True)
class History:
    """What was predicted, once each, and all that was said about it; events: as they come."""

    predictions: Sequence[Prediction]
    truths: Sequence[Truth]

    def pairs(self, version: str, start_ms: int = 0, end_ms: int = END_MS) -> list[Pair]:
        """What became known from a time on, as it is known at a later one.

        A prediction whose truth was known before it was made, was known when it was made.
        """
        found = []
        for p in (p for p in self.predictions if p.version == version):
            first, best = None, None
            for t in sorted(self._about(p), key=lambda t: (t.time, t.revision)):
                if max(t.time, p.time) >= end_ms or (best and t.revision < best.revision):
                    continue
                best = t
                if first is None and not t.retracted:
                    first = max(t.time, p.time)
            if best and not best.retracted and first is not None and first >= start_ms:
                found.append((p, best.label))
        return found

    def _about(self, p: Prediction) -> list[Truth]:
        return [
            t
            for t in self.truths
            if t.prediction_id == p.prediction_id
            and t.version in (None, p.version)
            and abs(t.time - p.time) <= HORIZON_MS
        ]

    def events(self, rng: random.Random, most_late_ms: int) -> list[Event]:
        """All of it in an order in which nothing is later than that; some of it comes twice."""
        told: list[Event] = [*self.predictions, *self.truths]
        told += rng.sample(told, len(told) // 5)
        return sorted(told, key=lambda e: e.time + rng.uniform(0, most_late_ms))


def history(kind: Kind, seed: int, rows: int, *, ties: bool = True) -> History:
    """A random one of two versions. ties: scores are few, and each in a cell of its own."""
    rng = np.random.default_rng(seed)
    predictions: list[Prediction] = []
    truths: list[Truth] = []
    for i in range(rows):
        key, time_ms = f"p{i}", START_MS + int(rng.integers(WHOLE_MS))
        versions = ("1", "2") if rng.random() < 0.3 else ("1",)
        label: Scalar = None
        for version in versions:
            said, label = _answered(kind, rng, key, version, time_ms, ties=ties)
            predictions.append(said)
        truths += _stated(kind, rng, key, time_ms, label)
    return History(predictions, truths)


def _answered(
    kind: Kind, rng: np.random.Generator, key: str, version: str, time_ms: int, *, ties: bool
) -> tuple[Prediction, Scalar]:
    """A prediction, some without an answer or a score, and what is likely to be true."""
    answer, score, sure, label = _made(kind, rng, ties=ties)
    if rng.random() < 0.1:
        answer = None
    if rng.random() < 0.1:
        score = sure = None
    found = Prediction(key, "m", version, time_ms, {}, answer, score, sure)
    return found, label


def _made(
    kind: Kind, rng: np.random.Generator, *, ties: bool
) -> tuple[Scalar, float | None, dict[str, float] | None, Scalar]:
    """Answer, score, probabilities and label."""
    if kind == "numbers":
        true = round(float(rng.normal()), 1) + 0.05
        return true + round(float(rng.normal()), 1), None, None, true
    if kind in ("three", "words"):
        p = np.round(rng.dirichlet(np.ones(3)), 2)
        p[2] = 1 - p[0] - p[1]
        p = np.clip(p, 0.0, 1.0)
        sure = {"abc"[i]: float(p[i]) for i in rng.permutation(3)}
        answer, label = "abc"[int(p.argmax())], "abc"[int(rng.choice(3))]
        return answer, None, sure if kind == "three" else None, label
    p = np.array([rng.uniform(0.01, 0.99)])
    if ties:
        p = middles()[cells(np.round(p, 1))]
    x = float(p[0])
    yes, good = rng.normal(x, 0.2) > 0.5, rng.random() < x**1.5
    if kind == "score":
        return "01"[yes], x, None, float(good) if rng.random() < 0.5 else "01"[good]
    names = ("no", "yes")
    return names[yes], None, {"no": 1.0 - x, "yes": x}, names[good]


def _stated(
    kind: Kind, rng: np.random.Generator, key: str, time_ms: int, label: Scalar
) -> Iterator[Truth]:
    """What is said of one id: nothing, the truth, or more and more of it, some taken back."""
    for revision in range(int(rng.choice(4, p=(0.2, 0.5, 0.2, 0.1)))):
        taken_back = revision > 0 and rng.random() < 0.3
        said = _made(kind, rng, ties=True)[-1] if rng.random() < 0.5 * (revision == 0) else label
        yield Truth(
            key,
            "m",
            time_ms + int(rng.integers(-PANE_MS, HORIZON_MS + PANE_MS)),
            None if taken_back else said,
            "1" if rng.random() < 0.1 else None,
            revision=revision,
            retracted=taken_back,
        )


@dataclasses.dataclass(frozen=True)
class Course:
    """How a history is told: nothing of this may show in its figures.

    lateness_s: what is waited for. most_late_ms: how late anything comes.
    """

    partitions: int = 1
    sources: int = 1
    chunk: int = 1_000
    seed: int = 0
    restarts: bool = False
    lateness_s: float = LATE_MS / 1000
    most_late_ms: int = LATE_MS


def told(
    found: History, course: Course, settings: ModelSettings, reference: Reference | None = None
) -> Pipeline:
    """Feed it all, in order within each source partition; with restarts most of it is lost once.

    reference: registered before all.
    """
    rng = random.Random(course.seed)
    wish = dataclasses.replace(
        settings, lateness_s=course.lateness_s, label_lateness_s=course.lateness_s
    )
    pipeline = Pipeline(lambda _: wish, course.partitions, course.sources)
    for part in reference.to_parts(600_000, time=START_MS - PANE_MS) if reference else ():
        pipeline.control(part)
    pipeline.checkpoint()
    events = found.events(rng, course.most_late_ms)
    offsets: dict[tuple[str, int], int] = {}
    for at in range(0, len(events), course.chunk):
        some: dict[tuple[str, int], list[Row]] = {}
        for event in events[at : at + course.chunk]:
            topic = "predictions" if isinstance(event, Prediction) else "truths"
            where = topic, rng.randrange(course.sources)
            offset = offsets[where] = offsets.get(where, -1) + 1
            some.setdefault(where, []).append((offset, event.time, event))
        _feed(pipeline, some)
        if course.restarts:
            if rng.random() < 0.5:
                pipeline.checkpoint()
            pipeline.restart()
            _feed(pipeline, some)
        pipeline.checkpoint()
    pipeline.control({"type": "watermark", "model": "m", "time": END_MS})
    pipeline.checkpoint()
    return pipeline


def _feed(pipeline: Pipeline, some: dict[tuple[str, int], list[Row]]) -> None:
    for (topic, partition), rows in some.items():
        pipeline.rows(topic, partition, rows, max(at for _, at, _ in rows))
