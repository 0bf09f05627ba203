"""Quality: how good a model was, read from tallies of its outcomes."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Literal

from stream import classes, fits, intervals, rankings, trust
from stream.intervals import Estimate, Figure, Inflation, Moments, moments
from stream.outcomes import Outcomes, outcomes, outcomes_of_rows
from stream.settings import ModelSettings, Task
from stream.tallies import Tally

__all__ = [
    "METRICS", "MORE", "Change", "Figure", "Metric", "Outcomes", "Tally", "figures_for",
    "metrics_for", "metrics_of", "outcomes", "outcomes_of_rows",
]  # fmt: skip

Direction = Literal["higher", "lower", "zero", "none"]
Needs = Literal["label", "probability", "number"]


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
    values whose mean, or its root, it is; None for a share. most: no value exceeds it; where that
    is 1, a change counts as it is, else as a share of the reference's.
    """

    name: str
    words: str
    direction: Direction
    needs: Needs
    get: Callable[[Tally], Figure | None]
    moments: Callable[[Tally], Moments] | None = None
    most: float = math.inf

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
        return intervals.widened(figure, inflation.stretch(), most=self.most)

    def _p_value(self, tally: Tally, was: float, other: Tally | None) -> float:
        if self.moments is None:
            if other is None:
                worth = tally.worth("judged")
                return intervals.p_of_fewer(tally.hits, tally.judged, was, worth)
            return intervals.p_of_fewer_than(*_effective(tally), *_effective(other))
        expected = was * was if self.name == "rmse" else was
        now = self.moments(tally)
        before = self.moments(other) if other else Moments(0, expected, 0.0)
        if self.direction == "higher":
            now, before = before, now
        return intervals.p_of_mean(now, before, larger_only=not self.two_sided)


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


def root_mean_square(t: Tally) -> Figure | None:
    found = _squares(t).figure()
    return intervals.root(found) if found else None


def confidence_when(t: Tally, right: bool) -> Figure | None:
    """Mean confidence of the right answers, or of the wrong ones."""
    return _sureness(t, right).figure()


def _sureness(t: Tally, right: bool) -> Moments:
    if right:
        worth = t.worth("sure_hits")
        return moments(t.sure_hits, t.hit_confidence, t.hit_confidence_squares, worth)
    worth = t.worth("sure_misses")
    return moments(t.sure_misses, t.miss_confidence, t.miss_confidence_squares, worth)


def _mean(
    name: str, words: str, direction: Direction, needs: Needs, of: Callable[[Tally], Moments]
) -> Metric:
    return Metric(name, words, direction, needs, lambda t: of(t).figure(), of)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", "higher", "label", _right, most=1.0),
        _mean("log_loss", "log loss", "lower", "probability", _losses),
        _mean("brier", "Brier score", "lower", "probability", _briers),
        _mean("confidence", "mean confidence", "none", "probability", _confidences),
        _mean("mae", "mean absolute error", "lower", "number", _absolutes),
        Metric("rmse", "root mean square error", "lower", "number", root_mean_square, _squares),
        _mean("bias", "mean error", "zero", "number", _errors),
    )
}


Of = Callable[[Tally], Estimate | None]


def _estimated(
    name: str, words: str, direction: Direction, needs: Needs, of: Of, most: float = 1.0
) -> Metric:
    def get(t: Tally) -> Figure | None:
        found = of(t)
        return found.figure if found else None

    def spread(t: Tally) -> Moments:
        found = of(t)
        return found.moments if found else Moments(0, 0.0, 0.0)

    return Metric(name, words, direction, needs, get, spread, most)


def _by_class(words: str, of: Callable[[Tally, str], Estimate | None]) -> "Making":
    def make(name: str, positive: str, quantile: float | None) -> Metric:
        del quantile
        return _estimated(name, words, "higher", "label", lambda t: of(t, positive))

    return make


def _plain(words: str, direction: Direction, needs: Needs, of: Of, most: float = 1.0) -> "Making":
    def make(name: str, positive: str, quantile: float | None) -> Metric:
        del positive, quantile
        return _estimated(name, words, direction, needs, of, most)

    return make


def _pinball(name: str, positive: str, quantile: float | None) -> Metric:
    del positive

    def of(t: Tally) -> Estimate | None:
        return None if quantile is None else fits.quantile_loss(t, quantile)

    return _estimated(name, "quantile loss", "lower", "number", of, math.inf)


def _when(right: bool) -> "Making":
    def make(name: str, positive: str, quantile: float | None) -> Metric:
        del positive, quantile
        words = f"confidence of {'right' if right else 'wrong'} answers"
        return _mean(name, words, "none", "probability", lambda t: _sureness(t, right))

    return make


Making = Callable[[str, str, float | None], Metric]
# told of every window, and judged where an objective names them: each one judged costs level
MORE: dict[str, Making] = {
    "balanced_accuracy": _by_class("balanced accuracy", classes.balanced_accuracy),
    "precision": _by_class("precision", classes.precision),
    "recall": _by_class("recall", classes.recall),
    "specificity": _by_class("specificity", classes.specificity),
    "f1": _by_class("F1", classes.f1),
    "auroc": _plain("AUROC", "higher", "probability", rankings.auroc),
    "average_precision": _plain(
        "average precision", "higher", "probability", rankings.average_precision
    ),
    "lift": _plain(
        "lift of the first tenth", "higher", "probability", rankings.lift, rankings.PARTS
    ),
    "calibration_error": _plain(
        "calibration error", "lower", "probability", trust.calibration_error
    ),
    "confidently_wrong": _plain(
        "share of confidently wrong answers", "lower", "probability", trust.confidently_wrong
    ),
    "confidence_when_right": _when(True),
    "confidence_when_wrong": _when(False),
    "r2": _plain("R2", "higher", "number", fits.r2),
    "quantile_loss": _pinball,
}


def metrics_of(settings: ModelSettings) -> dict[str, Metric]:
    """All metrics of a model, by name."""
    return _metrics_of(settings.positive, settings.quantile)


@functools.lru_cache(256)
def _metrics_of(positive: str, quantile: float | None) -> dict[str, Metric]:
    return METRICS | {name: make(name, positive, quantile) for name, make in MORE.items()}


def figures_for(
    tally: Tally, task: Task = "auto", metrics: Mapping[str, Metric] = METRICS
) -> dict[str, Figure]:
    """What those metrics say of a tally that say something, of some.

    Where nobody named the task, answers or labels that are not whole numbers make a regression.
    """
    if task == "auto":
        measured = tally.scored == 0 and (tally.fractional > 0 or tally.judged == 0)
        task = "regression" if measured else "classification"
    wanted = {"number"} if task == "regression" else {"label", "probability"}
    found = {name: m.get(tally) for name, m in metrics.items() if m.needs in wanted}
    return {name: figure for name, figure in found.items() if figure is not None}


def metrics_for(
    tally: Tally, task: Task = "auto", metrics: Mapping[str, Metric] = METRICS
) -> list[str]:
    """The names of those."""
    return list(figures_for(tally, task, metrics))


def _effect(metric: Metric, now: float, was: float, tally: Tally) -> tuple[float, str]:
    """How much worse: a difference of shares, or a share of the reference's value."""
    if metric.direction == "none":
        return now - was, "share"
    worse = was - now if metric.direction == "higher" else now - was
    if metric.direction == "zero":
        error = root_mean_square(tally)
        scale = error.value if error and error.value > 0 else 1.0
        return abs(worse) / scale, "share of the root mean square error"
    if metric.most == 1.0:
        return worse, "share"
    scale = abs(was) if was else abs(now)
    return worse / scale if scale else 0.0, "share of the reference's"
