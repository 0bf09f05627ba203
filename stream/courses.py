"""Courses: what labels teach a watch by itself, lesson after lesson (`recalibrate_every_s`).

An estimate is told before there is truth, so nothing that truth teaches can be in it and be the
same for any order of reading: predictions may be read to their end before the first label is. Where
quality is judged, all predictions and all truth of before are known. So a lesson is made there, and
counts there, from the event time at which it was made. What is estimated at once stays as it was.

A lesson is of cohorts that have become complete since the one before, as they were told of then
(`stream.vintages`): what becomes known of them later changes no lesson.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from stream import intervals
from stream.blindness import Gap
from stream.cohorts import Cohorts
from stream.events import Measured, Recalibrated, Recalibration
from stream.points import MINIMUM_LABELS, columns, taught
from stream.recalibrations import Learnt, Recalibrations
from stream.references import Reference
from stream.settings import ModelSettings
from stream.stamps import stamp
from stream.tallies import Tally
from stream.weights import weighted

PLACES = np.linspace(0.0, 1.0, 11)  # scores of which is told what they mean
SOURCE = "recalibrate_every_s"

Strata = Mapping[int, Tally]


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    since_ms: int | None
    until_ms: int
    due_ms: int
    outcomes: bytes


@dataclasses.dataclass(slots=True)
class Course:
    """One model version. outcomes: of cohorts since the last lesson, made in [since_ms, until_ms).

    due_ms: there is no lesson before. lessons: so far, which are saved by themselves. changed:
    whether the rest is to be saved.
    """

    every_ms: int
    since_ms: int | None = None
    until_ms: int = 0
    due_ms: int = 0
    outcomes: Tally = dataclasses.field(default_factory=Tally)
    lessons: Recalibrations = dataclasses.field(default_factory=Recalibrations)
    changed: bool = False

    def gather(self, start_ms: int, end_ms: int, strata: Strata) -> None:
        """Take in the outcomes of a cohort that has become complete."""
        for _, tally in sorted(strata.items()):
            self.outcomes.merge(tally)
        self.since_ms = start_ms if self.since_ms is None else min(self.since_ms, start_ms)
        self.until_ms = max(self.until_ms, end_ms)
        self.changed = True

    def drop(self) -> None:
        """Learn nothing from what was gathered."""
        if self.since_ms is not None:
            self.since_ms, self.until_ms, self.outcomes = None, 0, Tally()
            self.changed = True

    def teach(
        self, whose: tuple[str, str], reference: Reference | None, at_ms: int, oldest_ms: int
    ) -> None:
        """Make the lesson that is due, if there are labels enough.

        whose: model and version. at_ms: all before it is known, and it counts from then on.
        oldest_ms: estimates of before are asked for no more.
        """
        odds = None if reference is None else reference.odds
        if self.since_ms is None or odds is None or reference is None or at_ms < self.due_ms:
            return
        points = taught(self.outcomes, odds.of) if self.outcomes.sound() else []
        if sum(n for _, n, _ in points) < MINIMUM_LABELS:
            return
        model, version = whose
        event = Recalibration(
            model=model,
            version=version,
            time=at_ms,
            reference_id=reference.id,
            **columns(points),
            learnt_from=self.since_ms,
            learnt_until=self.until_ms,
            active_from=at_ms,
            source=SOURCE,
        )
        self.lessons.update(event, oldest_ms)
        self.due_ms = at_ms + self.every_ms
        self.drop()

    def to_bytes(self) -> bytes:
        """What the next lesson will be of."""
        self.changed = False
        times = (self.since_ms, self.until_ms, self.due_ms)
        return msgspec.msgpack.encode(_Packed(*times, self.outcomes.to_bytes()))

    def load(self, raw: bytes) -> None:
        """Take up `to_bytes`. Raises ValueError on anything else."""
        try:
            packed = msgspec.msgpack.decode(raw, type=_Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged course: {error}") from error
        self.since_ms, self.until_ms, self.due_ms = packed.since_ms, packed.until_ms, packed.due_ms
        self.outcomes = Tally.from_bytes(packed.outcomes)
        self.changed = False


def course_of(settings: ModelSettings) -> Course | None:
    """None where nobody wants one."""
    return Course(settings.recalibrate_every_s * 1000) if settings.recalibrate_every_s else None


def recalibrated(learnt: Learnt, accuracy: Measured | None, gap: Measured | None) -> Recalibrated:
    """What is told of a lesson, and what follows from it."""
    return Recalibrated(
        since=stamp(learnt.since_ms),
        learnt_from=stamp(learnt.event.learnt_from),
        learnt_until=stamp(learnt.until_ms),
        labels=learnt.labels,
        chances=learnt.curve(PLACES).chance.tolist(),
        accuracy=accuracy,
        gap=gap,
        reason=_reason(learnt, accuracy, gap),
    )


def _reason(learnt: Learnt, accuracy: Measured | None, gap: Measured | None) -> str:
    said = "no predictions with scores to estimate the accuracy from"
    if accuracy is not None:
        values = [f"{x:.3f}" for x in (accuracy.value, accuracy.low, accuracy.high)]
        said = (
            f"estimated accuracy {values[0]} (95% interval {values[1]} to {values[2]}) of "
            f"{accuracy.n:,} predictions"
        )
    said += f", as {learnt.words} have taught"
    if gap is None:
        return said
    values = [f"{100 * x:+.1f}" for x in (gap.value, gap.low, gap.high)]
    return (
        f"{said}; such estimates were {values[0]} points from what came (95% interval {values[1]} "
        f"to {values[2]}, {gap.n:,} labelled predictions)"
    )


def gap_of(
    reference: Reference, cohorts: Cohorts, lessons: Recalibrations, settings: ModelSettings
) -> Measured | None:
    """Estimated less realised accuracy of a window's outcomes, each by the lesson that counted when
    it was predicted; None of fewer than are needed.

    The intervals take outcomes for independent, and know that curves were learnt from so many.
    """
    found = []
    for learnt, tally in _by_lesson(
        cohorts, functools.partial(lessons.at, reference_id=reference.id)
    ):
        gap = Gap.of(reference, tally, learnt) if tally.sound() else None
        found += [(gap, gap.n / learnt.labels)] if gap is not None else []
    n = sum(gap.n for gap, _ in found)
    if n < settings.minimum_rows:
        return None
    value = math.fsum(gap.expected - gap.right for gap, _ in found) / n
    variance = math.fsum(
        (gap.n / n) ** 2 * gap.moments().variance * (1 + curve) for gap, curve in found
    )
    half = intervals.Z95 * math.sqrt(variance)
    return Measured(value=value, low=value - half, high=value + half, n=n)


def _by_lesson(cohorts: Cohorts, at: Callable[[int], Learnt | None]) -> list[tuple[Learnt, Tally]]:
    """Outcomes by the lesson that counted for their predictions, by their weights."""
    found: dict[tuple[int, int, bytes], tuple[Learnt, dict[int, Tally]]] = {}
    for exponent, _, made, tally in cohorts.parts():
        learnt = at(made)
        if learnt is not None:
            _, strata = found.setdefault(learnt.key, (learnt, {}))
            strata.setdefault(exponent, Tally()).merge(tally)
    return [(learnt, weighted(strata)) for _, (learnt, strata) in sorted(found.items())]
