"""Grades: what a tally says about one metric, as a reading in words."""

import dataclasses
import math

from stream import figures, minimums
from stream.events import Detail, Effect, Judged, Reading
from stream.intervals import Figure, Inflation
from stream.quality import Change, Metric, confidence_when, root_mean_square
from stream.settings import ModelSettings
from stream.tallies import Tally
from stream.verdicts import weighed


@dataclasses.dataclass(frozen=True, slots=True)
class Grade:
    """One metric of a tally, beside what the reference has and what was promised.

    level: of the test against the reference. inflation: None: outcomes are taken for independent.
    minimum_labels: outcomes without which the objective is not missed; None: `minimum_rows`.
    """

    metric: Metric
    tally: Tally
    reference: float | Tally | None
    objective: float | None
    level: float
    settings: ModelSettings
    inflation: Inflation | None = None
    minimum_labels: int | None = None

    def reading(self) -> Reading:
        """The grade in words.

        "moved": significantly worse than the reference at `level` and by the effect floor; or the
        whole 95% interval lies on the bad side of the objective. "not-enough-data": neither, and
        with so few rows a change as large as the floor need not be seen. The level told is what p
        would have to be for as much certainty.
        """
        figure, change, needed = self._figure(), self._change(), self._needed()
        missed = self._missed(figure)
        verdict = self._verdict(figure, change, needed, missed=missed)
        return Reading(
            check=self.metric.name,
            subject=self.metric.name,
            role="quality",
            statistic=figure.value if figure else None,
            p_value=change.p_value if change else None,
            level=self._level(),
            effect=_reported(change, self.settings.effect_floor_quality),
            n=figure.n if figure else 0,
            verdict=verdict,
            reason=self._reason(figure, change, needed, verdict, missed=missed),
            details=self._details(figure, needed),
        )

    def p_value(self) -> float | None:
        """Of being no worse than the reference, where outcomes resemble each other as they do."""
        change = self._change()
        return None if change is None else self._by_inflation(change.p_value)

    def _by_inflation(self, p: float) -> float:
        if self.inflation is None:
            return p
        return self.inflation.p_value(p, two_sided=self.metric.two_sided)

    def _figure(self) -> Figure | None:
        return self.metric.widened(self.metric.get(self.tally), self.inflation)

    def _was(self) -> float | None:
        return None if self.reference is None else self.metric.value_of(self.reference)

    def _change(self) -> Change | None:
        return None if self.reference is None else self.metric.change(self.tally, self.reference)

    def _level(self) -> float:
        if self.inflation is None:
            return self.level
        return self.inflation.level(self.level, two_sided=self.metric.two_sided)

    def _enough(self, figure: Figure | None) -> bool:
        return figure is not None and figure.n >= self.settings.minimum_rows

    def _missed(self, figure: Figure | None) -> bool:
        """Whether the whole interval is worse than the objective (of a bias: its largest size)."""
        goal, least = self.objective, self.minimum_labels or self.settings.minimum_rows
        if goal is None or figure is None or figure.n < least:
            return False
        match self.metric.direction:
            case "higher":
                return figure.high < goal
            case "lower":
                return figure.low > goal
            case "zero":
                return figure.low > goal or figure.high < -goal
            case "none":
                return False

    def _verdict(
        self, figure: Figure | None, change: Change | None, needed: int | None, *, missed: bool
    ) -> Judged:
        if missed:
            return "moved"
        if not self._enough(figure):
            return "not-enough-data"
        if self.metric.direction == "none" and change:
            found: Judged = "ok"  # an explanation, never a fault
        else:
            found = self._compared(change)
        few = figure is not None and needed is not None and figure.n < needed
        return "not-enough-data" if few and found in ("ok", "insignificant") else found

    def _compared(self, change: Change | None) -> Judged:
        if change is None:
            return "ok" if self.objective is not None else "no-reference"
        large = change.effect > 0 and change.effect >= self.settings.effect_floor_quality
        return weighed(change.p_value, self._level(), large=large)

    def _needed(self) -> int | None:
        """Rows without which nothing is said: for the power, and for the objective."""
        wanted = (self._needed_for_power(), self.minimum_labels)
        return max((n for n in wanted if n is not None), default=None)

    def _needed_for_power(self) -> int | None:
        """Rows with which a fall as large as the floor is found as often as `power` says.

        None where no number follows. Losses vary as those of the window do.
        """
        was, s, level = self._was(), self.settings, self.level
        if was is None or self.metric.direction == "none":
            return None
        if not (s.power and s.effect_floor_quality and 0 < level < 1):
            return None
        level = level / 2 if self.metric.direction == "zero" else level
        rows = minimums.for_mean(self._change_of_floor(was), level, s.power)
        rows *= self.inflation.times if self.inflation else 1.0
        if not math.isfinite(rows):
            return None
        known = self.metric.get(self.reference) if isinstance(self.reference, Tally) else None
        return max(minimums.in_window(rows, known.n if known else math.inf), s.minimum_rows)

    def _change_of_floor(self, was: float) -> float:
        """A fall as large as the floor, in deviations of one row's value."""
        floor = self.settings.effect_floor_quality
        if self.metric.moments is None:
            return minimums.in_deviations(was, max(was - floor, 0.0))
        now = self.metric.moments(self.tally)
        deviation = math.sqrt(now.variance * now.n)
        change = floor if self.metric.most == 1.0 else floor * abs(was)
        if self.metric.direction == "zero":
            error = root_mean_square(self.tally)
            change = floor * (error.value if error else 0.0)
        elif self.metric.name == "rmse":
            change = (was * (1 + floor)) ** 2 - was * was
        return change / deviation if deviation > 0 else 0.0

    def _reason(
        self,
        figure: Figure | None,
        change: Change | None,
        needed: int | None,
        verdict: Judged,
        *,
        missed: bool,
    ) -> str:
        said = self._sentence(figure, self.objective if missed else None)
        if needed and verdict == "not-enough-data":
            said += f"; {needed:,} are needed"
        if change and verdict == "moved" and not missed:
            said += self._by_chance(change)
        return said

    def _sentence(self, figure: Figure | None, missed: float | None) -> str:
        metric, was = self.metric, self._was()
        if figure is None:
            return f"no labelled predictions to measure the {metric.words} on"
        values = [figures.number(figure.value)] if was is None else figures.pair(was, figure.value)
        low, high = figures.pair(figure.low, figure.high)
        said = (
            f"{metric.words} {' -> '.join(values)} on {figure.n:,} labelled predictions "
            f"(95% interval {low} to {high})"
        )
        if missed is not None:
            said += f", worse than its objective {figures.number(missed)}"
        right, wrong = confidence_when(self.tally, True), confidence_when(self.tally, False)
        if metric.name == "confidence" and right and wrong:
            ends = figures.pair(right.value, wrong.value)
            said += f"; {ends[0]} when right, {ends[1]} when wrong"
        return said

    def _by_chance(self, change: Change) -> str:
        """How often chance alone makes the metric look as much worse."""
        p = self._by_inflation(change.p_value)
        return f"; chance does as much {figures.months(p * self.settings.evaluations_a_month)}"

    def _details(self, figure: Figure | None, needed: int | None) -> dict[str, Detail]:
        counted = self.tally.counted()
        found: dict[str, Detail] = {
            "reference": self._was(),
            "objective": self.objective,
            "labelled": counted.n,
            "unclassed": counted.unclassed,
            "cut": counted.cut,
        }
        if figure:
            found |= {"value": figure.value, "low": figure.low, "high": figure.high}
        if needed is not None:
            found["rows_needed"] = needed
        if self.inflation is not None:
            found["variance_inflation"] = self.inflation.times
        return found


def _reported(change: Change | None, floor: float) -> Effect | None:
    if change is None:
        return None
    return Effect(name="worse by", value=change.effect, floor=floor, unit=change.unit)
