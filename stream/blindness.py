"""Blindness: whether labels, once they are there, say what the scores had let expect.

Where what is true for the same inputs changes, scores do not know it: the estimate stays, and
quality falls. Then it is said that the estimate is not to be trusted.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from stream import figures, intervals, judgements, sums
from stream.bins import ANSWER
from stream.cohorts import Cohorts
from stream.estimates import ACCURACY
from stream.events import Detail, Effect, Judged, Measured, Reading
from stream.gradings import TRUSTED, inflation_of
from stream.intervals import Figure, Inflation, Moments
from stream.odds import Odds
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.scores import NO, YES, middles
from stream.settings import ModelSettings
from stream.stamps import stamp
from stream.tallies import Tally
from stream.verdicts import weighed

GAP = "estimate-gap"
MOST_COHORTS = 24  # told one by one: the newest


def gaps(
    reference: Reference | None,
    cohorts: Cohorts,
    tally: Tally,
    settings: ModelSettings,
    level: float,
    window_s: int,
    learnt: Learnt | None = None,
) -> list[Reading]:
    """The gap between estimated and realised accuracy of a window's outcomes, and by cohort.

    tally: of all of them. level: of this reading alone. learnt: what scores mean, which is held
    against outcomes that it was not learnt from.
    """
    if reference is None or not judgements.estimated(reference, settings):
        return []
    if learnt is not None:
        cohorts = cohorts.made_since(learnt.until_ms)
        tally = cohorts.total()
    whole = Gap.of(reference, tally, learnt)
    if whole is None:
        return []
    inflation = inflation_of(reference, settings, ACCURACY, window_s, whole.n)
    found = _Found(whole, settings, level, inflation, reference, learnt)
    return [found.reading(_by_cohort(reference, cohorts, settings, learnt))]


def measured(
    reference: Reference,
    cohorts: Cohorts,
    tally: Tally,
    settings: ModelSettings,
    window_s: int,
    learnt: Learnt | None = None,
) -> Measured | None:
    """The gap of a segment's outcomes, to be told and not judged; None of fewer than are needed.

    tally: of all of them. The interval holds what is not known of the curve, too.
    """
    if not judgements.estimated(reference, settings):
        return None
    if learnt is not None:
        tally = cohorts.made_since(learnt.until_ms).total()
    gap = Gap.of(reference, tally, learnt)
    if gap is None or gap.n < settings.minimum_rows:
        return None
    inflation = inflation_of(reference, settings, ACCURACY, window_s, gap.n)
    found = _Found(gap, settings, 0.0, inflation, reference, learnt).told()
    return Measured(value=found.value, low=found.low, high=found.high, n=found.n)


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Outcomes, how many of them are right, how many were expected to be, and the mean square of
    what was expected of each less what came.
    """

    n: int
    right: float
    expected: float
    square: float
    worth: float = 1.0

    @classmethod
    def of(cls, reference: Reference, tally: Tally, learnt: Learnt | None) -> "Gap | None":
        """None where no outcomes have scores."""
        assert reference.odds is not None
        if reference.odds.of == "positive":
            return _of_scores(reference.odds, tally, learnt)
        return _of_tenths(tally, learnt) if learnt else _of_confidence(reference, tally)

    @property
    def gap(self) -> float:
        """Estimated less realised accuracy."""
        return (self.expected - self.right) / self.n

    def moments(self) -> Moments:
        """Of what was expected of each less what came."""
        variance = max(0.0, self.square - self.gap**2) / max(1.0, self.n * self.worth - 1)
        return Moments(self.n, self.gap, variance)


def _of_scores(odds: Odds, tally: Tally, learnt: Learnt | None) -> Gap | None:
    """By the chance that labels give each cell of scores: the reference's, or live ones."""
    if learnt is None:
        p = np.interp(middles(), odds.places, odds.curve.chance)
    else:
        p = learnt.curve(middles()).chance
    table = tally.breakdown.scores.table()
    square = right = expected = 0.0
    for answer, chance in ((YES, p), (NO, 1 - p)):
        hits, misses = table[:, answer, answer], table[:, answer, YES + NO - answer]
        right += float(hits.sum())
        expected += float(((hits + misses) * chance).sum())
        square += float((hits * (1 - chance) ** 2 + misses * chance**2).sum())
    n = int(table[:, [NO, YES]][:, :, [NO, YES]].sum())
    if n <= 0:
        return None
    return Gap(n, right, expected, square / n, tally.worth("sure_hits", "sure_misses"))


def _of_confidence(reference: Reference, tally: Tally) -> Gap | None:
    """By the mean confidence, less what the reference's labels took off it."""
    assert reference.odds is not None
    n = tally.sure_hits + tally.sure_misses
    if n <= 0 or not tally.sound():
        return None
    told = reference.odds.score.mean
    off = told - reference.odds.expected.moments[0]
    total = sums.to_float(tally.hit_confidence + tally.miss_confidence)
    squares = sums.to_float(tally.hit_confidence_squares + tally.miss_confidence_squares)
    square = squares - 2 * sums.to_float(tally.hit_confidence) + tally.sure_hits
    gap = (total - tally.sure_hits) / n
    spread = square / n - gap**2  # the same with `off` or without
    worth = tally.worth("sure_hits", "sure_misses")
    return Gap(n, tally.sure_hits, total - n * off, spread + (gap - off) ** 2, worth)


def _of_tenths(tally: Tally, learnt: Learnt) -> Gap | None:
    """By the chance that live labels give to the confidence of answers: counted by its tenths."""
    bins = tally.breakdown.bins.of(ANSWER)
    rows, hits = (np.array([b[i] for b in bins], dtype=np.float64) for i in (0, 1))
    n = int(rows.sum())
    if n <= 0 or not tally.sound():
        return None
    p = learnt.curve(np.array([mean for _, _, mean in bins])).chance
    square = float((hits * (1 - p) ** 2 + (rows - hits) * p**2).sum())
    worth = tally.worth("sure_hits", "sure_misses")
    return Gap(n, float(hits.sum()), float((rows * p).sum()), square / n, worth)


def _by_cohort(
    reference: Reference, cohorts: Cohorts, settings: ModelSettings, learnt: Learnt | None
) -> dict[str, Detail]:
    """Estimated and realised accuracy of the newest cohorts that have outcomes enough."""
    found: list[tuple[int, Gap]] = []
    for pane, tally in sorted(cohorts.cells.items()):
        gap = Gap.of(reference, tally, learnt)
        if gap is not None and gap.n >= settings.minimum_rows:
            found.append((pane, gap))
    newest = found[-MOST_COHORTS:]
    return {
        "cohorts": [stamp(pane) for pane, _ in newest],
        "cohorts_estimated": [gap.expected / gap.n for _, gap in newest],
        "cohorts_realised": [gap.right / gap.n for _, gap in newest],
    }


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """A gap, and what makes it one."""

    whole: Gap
    settings: ModelSettings
    level: float
    inflation: Inflation | None
    reference: Reference
    learnt: Learnt | None = None

    def reading(self, cohorts: Mapping[str, Detail]) -> Reading:
        """The gap in words."""
        figure, p, n = self._figure(), self._p_value(), self.whole.n
        verdict = self._verdict(p)
        floor = self.settings.estimate_floor
        size = abs(self.whole.gap)
        return Reading(
            check=GAP,
            subject=GAP,
            role="quality",
            statistic=self.whole.gap,
            p_value=p,
            level=self._level(),
            effect=Effect(name="gap", value=size, floor=floor, unit="share"),
            n=n,
            n_reference=self.reference.rows,
            verdict=verdict,
            reason=self._reason(verdict),
            details={
                "estimated": self.whole.expected / n,
                "realised": self.whole.right / n,
                "low": figure.low if figure else None,
                "high": figure.high if figure else None,
                **({"calibrated_by": self.learnt.words} if self.learnt else {}),
                TRUSTED: "no" if verdict == "moved" else "yes" if self._enough() else "not known",
                **cohorts,
                **({"variance_inflation": self.inflation.times} if self.inflation else {}),
            },
        )

    def told(self) -> Figure:
        """The gap with an interval that holds as much as its p-value takes for chance."""
        now, known = self.whole.moments(), self._of_curve()
        half = intervals.Z95 * math.sqrt(now.variance * self._stretch() ** 2 + known)
        return Figure(now.mean, now.n, now.mean - half, now.mean + half)

    def _figure(self) -> Figure | None:
        found = self.whole.moments().figure()
        return None if found is None else intervals.stretched(found, self._stretch())

    def _stretch(self) -> float:
        """How much longer intervals are than those of independent outcomes."""
        return 1.0 if self.inflation is None else max(1.0, self.inflation.stretch())

    def _p_value(self) -> float:
        """Of a gap so large on either side, were there none: the curve is uncertain too."""
        known = Moments(0, 0.0, self._of_curve())
        return intervals.p_of_mean(self.whole.moments(), known, larger_only=False)

    def _of_curve(self) -> float:
        """The variance of a gap for the curve alone; an inflation has it in it."""
        if self.inflation is not None:
            return 0.0
        now = self.whole.moments()
        return now.variance * now.n / self._labels()

    def _labels(self) -> int:
        if self.learnt is not None:
            return self.learnt.labels
        odds = self.reference.odds
        return int(odds.labelled.sum()) if odds is not None else 1

    def _level(self) -> float:
        if self.inflation is None:
            return self.level
        return self.inflation.level(self.level, two_sided=True)

    def _enough(self) -> bool:
        return self.whole.n >= self.settings.minimum_rows

    def _verdict(self, p: float) -> Judged:
        if not self._enough():
            return "not-enough-data"
        large = abs(self.whole.gap) >= self.settings.estimate_floor
        return weighed(p, self._level(), large=large)

    def _reason(self, verdict: Judged) -> str:
        n = self.whole.n
        values = figures.pair(self.whole.expected / n, self.whole.right / n)
        said = f"estimated accuracy {values[0]}, realised {values[1]} on {n:,} labelled predictions"
        if verdict == "moved":
            return (
                f"{said}: the estimate is not to be trusted, the scores do not know of the change"
            )
        if verdict == "not-enough-data":
            return f"{said}; {self.settings.minimum_rows:,} are needed"
        return f"{said}: no gap beyond chance" if verdict == "ok" else said
