"""Quality: how good a model was, read from tallies of its outcomes."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

from stream import intervals
from stream.intervals import Figure, Inflation, Moments, moments
from stream.outcomes import Outcomes, outcomes, outcomes_of_rows
from stream.settings import Task
from stream.tallies import Tally

__all__ = [
    "METRICS", "Change", "Figure", "Metric", "Outcomes", "Tally", "metrics_for", "outcomes",
    "outcomes_of_rows",
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


def root_mean_square(t: Tally) -> Figure | None:
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
        Metric("rmse", "root mean square error", "lower", "number", root_mean_square, _squares),
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
        error = root_mean_square(tally)
        scale = error.value if error and error.value > 0 else 1.0
        return abs(now - was) / scale, "share of the root mean square error"
    scale = abs(was) if was else abs(now)
    return (now - was) / scale if scale else 0.0, "share of the reference's"
