"""Appraisals: what a recalibration changes, on the labels that it comes from and since."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from stream.blindness import Gap
from stream.columns import Floats
from stream.estimates import ACCURACY
from stream.intervals import Figure
from stream.lessons import Lesson
from stream.monitor import Memory
from stream.odds import Odds
from stream.points import taught
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.stamps import stamp
from stream.tallies import Tally

TENTHS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """Scores from `low` to the next tenth: labels, and shares that came true: as it was, by the
    curve of before, by the new one.
    """

    low: float
    labels: int
    came: float
    before: float
    now: float


@dataclasses.dataclass(frozen=True, slots=True)
class Accuracy:
    """On labels: as it was, by the curve of before, by the new one."""

    labels: int
    realised: float
    before: float
    now: float


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """The estimate of the newest window of predictions by both curves, and where that ended."""

    end: str
    before: Figure
    now: Figure


@dataclasses.dataclass(frozen=True, slots=True)
class Appraisal:
    """before: what the curve so far comes from. learnt: of all labels that taught; tried: of the
    newer half of them by what the older half teaches. None: there are none.
    """

    reference_id: str
    lesson: Lesson
    before: str
    rows: list[Row]
    learnt: Accuracy | None
    tried: Accuracy | None
    window: Window | None


def appraise(m: Memory, reference: Reference, lesson: Lesson) -> Appraisal:
    """m: with the shares of the newest window of predictions."""
    odds = reference.odds
    assert odds is not None
    before = m.learnt.at(lesson.learnt.since_ms, reference.id)
    trial = lesson.trial(odds.of)
    return Appraisal(
        reference.id,
        lesson,
        before.words if before else "the reference's labels",
        list(_rows(odds, lesson, before)),
        _accuracy(reference, lesson.tally, before, lesson.learnt),
        None if trial is None else _accuracy(reference, lesson.newer, before, trial),
        _window(m, reference, before, lesson.learnt),
    )


def _chances(odds: Odds, learnt: Learnt | None, scores: Floats) -> Floats:
    if learnt is None:
        return np.interp(scores, odds.places, odds.curve.chance)
    return learnt.curve(scores).chance


def _rows(odds: Odds, lesson: Lesson, before: Learnt | None) -> Iterator[Row]:
    points = taught(lesson.tally, odds.of)
    scores, labels, came = (
        np.array(column, dtype=np.float64) for column in zip(*points, strict=True)
    )
    tenth = np.minimum(scores * TENTHS, TENTHS - 1).astype(np.int64)
    curves = [_chances(odds, one, scores) for one in (before, lesson.learnt)]
    for place in np.unique(tenth).tolist():
        own = tenth == place
        n = labels[own].sum()
        means = [float((labels * curve)[own].sum() / n) for curve in curves]
        yield Row(place / TENTHS, int(n), float(came[own].sum() / n), *means)


def _accuracy(
    reference: Reference, tally: Tally, before: Learnt | None, now: Learnt
) -> Accuracy | None:
    was, found = Gap.of(reference, tally, before), Gap.of(reference, tally, now)
    if was is None or found is None:
        return None
    return Accuracy(found.n, found.right / found.n, was.expected / was.n, found.expected / found.n)


def _window(m: Memory, reference: Reference, before: Learnt | None, now: Learnt) -> Window | None:
    end, s = m.progress["inputs"].done_ms, m.settings
    merged = m.windows["inputs"].merged(end, s.windows_s[0] * 1000, reference, s.positive)
    counts, odds = merged.share.expected(), reference.odds
    if counts is None or odds is None or not counts.n:
        return None
    curves = odds.curve if before is None else before.over(odds), now.over(odds)
    was, found = (dataclasses.replace(counts, curve=c).figures()[ACCURACY] for c in curves)
    return Window(stamp(end), was, found)
