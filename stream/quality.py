"""Quality: how good a model was, read from tallies of its outcomes."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

from stream import figures, intervals, minimums
from stream.events import Effect, Reading
from stream.intervals import Figure, Inflation, Moments, moments
from stream.outcomes import Outcomes, outcomes, outcomes_of_rows
from stream.settings import ModelSettings, Task
from stream.tallies import Tally

__all__ = [
    "METRICS", "Change", "Figure", "Metric", "Outcomes", "Tally", "metrics_for", "outcomes",
    "outcomes_of_rows", "quality_reading",
]  # fmt: skip

Direction = Literal["higher", "lower", "zero", "none"]
Needs = Literal["label", "probability", "number"]
Verdict = Literal["ok", "moved", "small", "insignificant", "not-enough-data", "no-reference"]
Details = dict[str, float | int | str | list[float | int | str | None] | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """How a tally compares with a reference.

    p_value: of being no worse, one-sided; two-sided for metrics without a better side. effect:
    how much worse (negative is better), in `unit`.
    """

    p_value: float
    effect: float
    unit: str


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One metric. direction: which way is better; "zero": the nearer the better, "none": neither.

    needs: what outcomes must carry. get: None while there is nothing to measure. moments: of the
    values whose mean, or its root, it is; None for a share.
    """

    name: str
    words: str
    direction: Direction
    needs: Needs
    get: Callable[[Tally], Figure | None]
    moments: Callable[[Tally], Moments] | None = None

    def change(self, tally: Tally, reference: float | Tally) -> Change | None:
        """The tally against a known value, or against another tally; None without outcomes."""
        now, was = self.get(tally), self.value_of(reference)
        if now is None or was is None:
            return None
        other = reference if isinstance(reference, Tally) else None
        effect, unit = _effect(self, now.value, was, tally)
        return Change(self._p_value(tally, was, other), effect, unit)

    def value_of(self, reference: float | Tally) -> float | None:
        """The value of a reference, however it is given; None without outcomes."""
        if not isinstance(reference, Tally):
            return reference
        figure = self.get(reference)
        return figure.value if figure else None

    @property
    def two_sided(self) -> bool:
        """Whether a change either way has a small p-value."""
        return self.direction in ("zero", "none")

    def widened(self, figure: Figure | None, inflation: Inflation | None) -> Figure | None:
        """A figure of outcomes that resemble each other."""
        if figure is None or inflation is None:
            return figure
        most = 1.0 if self.moments is None else math.inf
        return intervals.widened(figure, inflation.times, most=most)

    def _p_value(self, tally: Tally, was: float, other: Tally | None) -> float:
        if self.moments is None:
            if other is None:
                worth = tally.worth("judged")
                return intervals.p_of_fewer(tally.hits, tally.judged, was, worth)
            return intervals.p_of_fewer_than(*_effective(tally), *_effective(other))
        expected = was * was if self.name == "rmse" else was
        before = self.moments(other) if other else Moments(0, expected, 0.0)
        return intervals.p_of_mean(self.moments(tally), before, self.direction == "lower")


def _right(t: Tally) -> Figure | None:
    return intervals.share(t.hits, t.judged, t.worth("judged"))


def _effective(t: Tally) -> tuple[int, int]:
    """Right answers and answers, as whole numbers of equal weight."""
    worth = t.worth("judged")
    return (t.hits, t.judged) if worth == 1.0 else (round(t.hits * worth), round(t.judged * worth))


def _losses(t: Tally) -> Moments:
    return moments(t.scored, t.loss, t.loss_squares, t.worth("scored"))


def _briers(t: Tally) -> Moments:
    return moments(t.scored, t.brier, t.brier_squares, t.worth("scored"))


def _confidences(t: Tally) -> Moments:
    total = t.hit_confidence + t.miss_confidence
    squares = t.hit_confidence_squares + t.miss_confidence_squares
    worth = t.worth("sure_hits", "sure_misses")
    return moments(t.sure_hits + t.sure_misses, total, squares, worth)


def _absolutes(t: Tally) -> Moments:
    return moments(t.numbers, t.absolutes, t.squares, t.worth("numbers"))


def _squares(t: Tally) -> Moments:
    return moments(t.numbers, t.squares, t.fourths, t.worth("numbers"))


def _errors(t: Tally) -> Moments:
    return moments(t.numbers, t.errors, t.squares, t.worth("numbers"))


def _rmse(t: Tally) -> Figure | None:
    found = _squares(t).figure()
    return intervals.root(found) if found else None


def confidence_when(t: Tally, right: bool) -> Figure | None:
    """Mean confidence of the right answers, or of the wrong ones."""
    if right:
        worth = t.worth("sure_hits")
        return moments(t.sure_hits, t.hit_confidence, t.hit_confidence_squares, worth).figure()
    worth = t.worth("sure_misses")
    return moments(t.sure_misses, t.miss_confidence, t.miss_confidence_squares, worth).figure()


def _mean(
    name: str, words: str, direction: Direction, needs: Needs, of: Callable[[Tally], Moments]
) -> Metric:
    return Metric(name, words, direction, needs, lambda t: of(t).figure(), of)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", "higher", "label", _right),
        _mean("log_loss", "log loss", "lower", "probability", _losses),
        _mean("brier", "Brier score", "lower", "probability", _briers),
        _mean("confidence", "mean confidence", "none", "probability", _confidences),
        _mean("mae", "mean absolute error", "lower", "number", _absolutes),
        Metric("rmse", "root mean square error", "lower", "number", _rmse, _squares),
        _mean("bias", "mean error", "zero", "number", _errors),
    )
}


def metrics_for(tally: Tally, task: Task = "auto") -> list[str]:
    """The metrics that say something about a tally.

    Where nobody named the task, answers or labels that are not whole numbers make a regression.
    """
    if task == "auto":
        measured = tally.scored == 0 and (tally.fractional > 0 or tally.judged == 0)
        task = "regression" if measured else "classification"
    wanted = {"number"} if task == "regression" else {"label", "probability"}
    return [name for name, m in METRICS.items() if m.needs in wanted and m.get(tally)]


def _effect(metric: Metric, now: float, was: float, tally: Tally) -> tuple[float, str]:
    """How much worse: a difference of shares, or a share of the reference's loss."""
    if metric.direction == "higher":
        return was - now, "share"
    if metric.direction == "none":
        return now - was, "share"
    if metric.direction == "zero":
        error = _rmse(tally)
        scale = error.value if error and error.value > 0 else 1.0
        return abs(now - was) / scale, "share of the root mean square error"
    scale = abs(was) if was else abs(now)
    return (now - was) / scale if scale else 0.0, "share of the reference's"


def quality_reading(
    metric: Metric,
    tally: Tally,
    reference: float | Tally | None,
    objective: float | None,
    level: float,
    settings: ModelSettings,
    inflation: Inflation | None = None,
) -> Reading:
    """What a tally says about one metric, as a reading in words.

    "moved": significantly worse than the reference at `level` and by the effect floor; or the
    whole 95% interval lies on the bad side of the objective. "not-enough-data": neither, and with
    so few rows a change as large as the floor need not be seen. inflation: None: outcomes are taken
    for independent. The level told is what p would have to be for as much certainty.
    """
    figure = metric.widened(metric.get(tally), inflation)
    was = None if reference is None else metric.value_of(reference)
    change = None if reference is None else metric.change(tally, reference)
    enough = figure is not None and figure.n >= settings.minimum_rows
    missed = enough and objective is not None and _misses(metric, figure, objective)
    needed = _needed(metric, tally, reference, level, settings, inflation)
    if inflation is not None:
        level = inflation.level(level, two_sided=metric.two_sided)
    verdict = _verdict(change, level, settings.effect_floor_quality, objective is not None)
    if metric.direction == "none" and change:
        verdict = "ok"  # an explanation, never a fault
    few = figure is not None and needed is not None and figure.n < needed
    if not enough:
        verdict = "not-enough-data"
    elif missed:
        verdict = "moved"
    elif few and verdict in ("ok", "insignificant"):
        verdict = "not-enough-data"
    sure = verdict == "moved" and not missed
    return Reading(
        check=metric.name,
        subject=metric.name,
        role="quality",
        statistic=figure.value if figure else None,
        p_value=change.p_value if change else None,
        level=level,
        effect=_reported(change, settings.effect_floor_quality),
        n=figure.n if figure else 0,
        verdict=verdict,
        reason=_sentence(metric, figure, was, objective if missed else None, tally)
        + (f"; {needed:,} are needed" if needed and verdict == "not-enough-data" else "")
        + (_by_chance(metric, change, inflation, settings) if change and sure else ""),
        details=_details(figure, was, objective, tally)
        | ({} if needed is None else {"rows_needed": needed})
        | ({} if inflation is None else {"variance_inflation": inflation.times}),
    )


def _needed(
    metric: Metric,
    tally: Tally,
    reference: float | Tally | None,
    level: float,
    s: ModelSettings,
    inflation: Inflation | None = None,
) -> int | None:
    """Rows with which a fall as large as the floor is found as often as `power` says.

    None where no number follows. Losses vary as those of the window do.
    """
    was, floor = (
        metric.value_of(reference) if reference is not None else None,
        s.effect_floor_quality,
    )
    if was is None or not (s.power and floor and 0 < level < 1) or metric.direction == "none":
        return None
    if metric.direction == "zero":
        level /= 2
    change = _change_of_floor(metric, tally, was, floor)
    rows = minimums.for_mean(change, level, s.power) * (inflation.times if inflation else 1.0)
    known = metric.get(reference) if isinstance(reference, Tally) else None
    if not math.isfinite(rows):
        return None
    return max(minimums.in_window(rows, known.n if known else math.inf), s.minimum_rows)


def _change_of_floor(metric: Metric, tally: Tally, was: float, floor: float) -> float:
    """A fall as large as the floor, in deviations of one row's value."""
    if metric.moments is None:
        return minimums.in_deviations(was, max(was - floor, 0.0))
    now = metric.moments(tally)
    deviation = math.sqrt(now.variance * now.n)
    error = _rmse(tally)
    change = floor * abs(was)
    if metric.direction == "zero":
        change = floor * (error.value if error else 0.0)
    elif metric.name == "rmse":
        change = (was * (1 + floor)) ** 2 - was * was
    return change / deviation if deviation > 0 else 0.0


def _misses(metric: Metric, figure: Figure | None, objective: float) -> bool:
    """Whether the whole interval is worse than the objective (of a bias: its largest size)."""
    if figure is None:
        return False
    match metric.direction:
        case "higher":
            return figure.high < objective
        case "lower":
            return figure.low > objective
        case "zero":
            return figure.low > objective or figure.high < -objective
        case "none":
            return False


def _verdict(change: Change | None, level: float, floor: float, promised: bool) -> Verdict:
    if change is None:
        return "ok" if promised else "no-reference"
    large = change.effect > 0 and change.effect >= floor
    if change.p_value < level or change.p_value == 0.0:
        return "moved" if large else "small"
    return "insignificant" if large else "ok"


def _reported(change: Change | None, floor: float) -> Effect | None:
    if change is None:
        return None
    return Effect(name="worse by", value=change.effect, floor=floor, unit=change.unit)


def _sentence(
    metric: Metric, figure: Figure | None, was: float | None, missed: float | None, tally: Tally
) -> str:
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
    right, wrong = confidence_when(tally, True), confidence_when(tally, False)
    if metric.name == "confidence" and right and wrong:
        ends = figures.pair(right.value, wrong.value)
        said += f"; {ends[0]} when right, {ends[1]} when wrong"
    return said


def _by_chance(
    metric: Metric, change: Change, inflation: Inflation | None, settings: ModelSettings
) -> str:
    """How often chance alone makes the metric look as much worse."""
    p = change.p_value
    if inflation is not None:
        p = inflation.p_value(p, two_sided=metric.two_sided)
    return f"; chance does as much {figures.months(p * settings.evaluations_a_month)}"


def _details(
    figure: Figure | None, was: float | None, objective: float | None, tally: Tally
) -> Details:
    found: Details = {
        "reference": was,
        "objective": objective,
        "labelled": tally.counted().n,
        "unclassed": tally.counted().unclassed,
        "cut": tally.counted().cut,
    }
    if figure:
        found |= {"value": figure.value, "low": figure.low, "high": figure.high}
    return found
