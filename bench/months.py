"""Months: a model's month of hourly evaluations, judged by the core.

Most windows of a month are so like the reference that no judgement can call them moved. A bound on
the statistic, worked out for all hours together, says which; the others are measured and judged by
the core's own checks. `agrees` compares some hours with whole evaluations.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.worlds import HOURS_A_DAY, Values, World, columns
from stream import categories, checks, judgements
from stream.alerts import QUIET, AlertState, Rule, step
from stream.chronicles import calibrated
from stream.columns import Column, Floats, Ints
from stream.evaluations import inputs_evaluation, level_of
from stream.features import FeatureReference
from stream.judgements import allowed_of
from stream.measures import Comparison
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.subjects import Subject
from stream.windows import Merged

HOUR_MS, HOUR_S = 3_600_000, 3_600
REFERENCE_HOURS = 30 * HOURS_A_DAY
WARM_HOURS = HOURS_A_DAY  # before it, the longest window is not full
TOGETHER = 8  # codes of one cell of the bound
MORE_POOLED = 4  # categories that may be put together with those of few rows
NEAR = 1 - 1e-9  # of a threshold: what rounding may hide
Bools = npt.NDArray[np.bool_]


def settings_of(
    budget: float, windows_s: tuple[int, ...], *, floors: bool = False
) -> ModelSettings:
    """Defaults but for the budget and the windows; every change matters, unless floors are on."""
    found = ModelSettings(false_alarms_per_month=budget, windows_s=windows_s)
    if floors:
        return found
    return dataclasses.replace(
        found, effect_floor_sd=0.0, effect_floor_share=0.0, effect_floor_data=0.0
    )


def reference_of(
    world: World, random: np.random.Generator, settings: ModelSettings, hours: int = REFERENCE_HOURS
) -> Reference:
    """A fresh reference in order, calibrated as `driftline reference --time` does."""
    found = {f"f{i}": Column(x) for i, x in enumerate(columns(world, random, hours))}
    times = np.repeat(np.arange(hours) * HOUR_MS, world.rows)
    named = tuple(found) if world.named else ()
    reference = Reference.build("m", "1", found, categorical=named)
    return calibrated(reference, found, {}, times, settings)


@dataclasses.dataclass(frozen=True, slots=True)
class Month:
    """Live rows against a reference. codes: a column a feature, shape (hours * rows,) each.

    The first WARM_HOURS are not judged; hour 0 of what is judged ends with the first after them.
    """

    reference: Reference
    codes: Sequence[npt.NDArray[np.int32]]
    rows: int

    @property
    def hours(self) -> int:
        """How many are judged."""
        return len(self.codes[0]) // self.rows - WARM_HOURS + 1

    def moved(self, settings: ModelSettings, within: Bools | None = None) -> Bools:
        """Which features the core calls moved at the end of each hour, shape (hours, features).

        within: where to look; everywhere unless given.
        """
        found = np.zeros((self.hours, len(self.codes)), dtype=bool)
        for i in range(len(self.codes)):
            for hour in self.alarming(i, settings, None if within is None else within[:, i]):
                found[hour, i] = True
        return found

    def alarming(
        self, number: int, settings: ModelSettings, within: Bools | None = None
    ) -> Iterator[int]:
        """The hours at whose end a feature has moved, in order, as far as they are asked for."""
        if within is not None and not within.any():
            return
        feature = [*self.reference.features.values()][number]
        possible = np.zeros((len(settings.windows_s), self.hours), dtype=bool)
        for i, window_s in enumerate(settings.windows_s):
            possible[i] = self._possible(feature, self.codes[number], settings, window_s)
        if within is not None:
            possible &= within
        for hour in np.flatnonzero(possible.any(axis=0)).tolist():
            lengths = np.array(settings.windows_s)[possible[:, hour]].tolist()
            if any(self._moved(feature, number, settings, w, hour) for w in lengths):
                yield hour

    def _possible(
        self,
        f: FeatureReference,
        codes: npt.NDArray[np.int32],
        settings: ModelSettings,
        window_s: int,
    ) -> Bools:
        """Hours at whose end a window of a length may have moved, shape (hours,)."""
        length = window_s // HOUR_S
        n, calibration = self.rows * length, self.reference.calibration
        assert calibration is not None
        inflation = calibration.inflation(f.name, "input", window_s, n)
        assert inflation is not None
        if f.kind == "category":
            most, freedom = most_chi_square(f, codes, self.rows, length)
            least = stats.chi2.isf(level_of(settings), freedom) * max(1.0, inflation)
            return np.asarray(most > least * NEAR, dtype=bool)
        allowed = allowed_of(self.reference, settings, window_s)
        assert allowed is not None
        m = int(f.counts[: f.cells].sum())
        gap = np.sqrt(allowed.threshold * inflation * (n + m) / (n * m))
        return np.asarray(most_apart(f, codes, self.rows, length) > gap * NEAR, dtype=bool)

    def _moved(
        self, f: FeatureReference, number: int, settings: ModelSettings, window_s: int, hour: int
    ) -> bool:
        end = (hour + WARM_HOURS) * self.rows
        some = self.codes[number][end - window_s // HOUR_S * self.rows : end]
        counts = np.bincount(some, minlength=f.width)
        if f.kind == "category":
            return _category_moved(self.reference, f, counts, settings, window_s)
        found = checks.measure(Comparison(f, counts, settings), "ks")
        chance = judgements.chances(self.reference, [found], settings, window_s)[0]
        assert chance is not None
        return checks.judge(found, None, chance).verdict == "moved"


def _category_moved(
    reference: Reference,
    f: FeatureReference,
    counts: Ints,
    settings: ModelSettings,
    window_s: int,
) -> bool:
    """The core's word on a feature, the only one of its reference."""
    share = Share(reference, rows=int(counts.sum()))
    share.counts(f.name)[:] = counts
    level = level_of(settings)
    found = checks.check_share(reference, share, level, settings, window_s=window_s)
    return any(r.verdict == "moved" for r in found if r.check == "chi-square")


def month_of(reference: Reference, live: Sequence[Values], rows: int) -> Month:
    """live: a column a feature, hour after hour."""
    known = reference.features.values()
    return Month(reference, [f.codes(Column(x)) for f, x in zip(known, live, strict=True)], rows)


def _windows(codes: npt.NDArray[np.int32], rows: int, length: int, cells: int, width: int) -> Ints:
    """Rows by window of so many hours and cell of so many codes, shape (hours, cells)."""
    hours = len(codes) // rows
    at = codes // width + np.repeat(np.arange(hours) * cells, rows)
    counts = np.bincount(at, minlength=hours * cells).reshape(hours, cells)
    up_to = np.concatenate([np.zeros((1, cells), np.int64), counts.cumsum(0)])
    found: Ints = up_to[WARM_HOURS:] - up_to[WARM_HOURS - length : hours + 1 - length]
    return found


def most_apart(f: FeatureReference, codes: npt.NDArray[np.int32], rows: int, length: int) -> Floats:
    """What the distance of each window of so many hours can be at most, shape (hours,).

    Between the ends of a cell both distribution functions rise: neither is further from the other
    than at one end of it from the other's at the other end.
    """
    cells = -(-f.cells // TOGETHER)
    live = _windows(codes, rows, length, cells, TOGETHER).cumsum(1) / (rows * length)
    known = np.add.reduceat(f.counts[: f.cells], np.arange(0, f.cells, TOGETHER)).cumsum()
    share = known / known[-1]
    above = (live - np.concatenate([[0.0], share[:-1]])).max(axis=1)
    below = np.maximum(share[0], (share[1:] - live[:, :-1]).max(axis=1))
    found: Floats = np.maximum(above, below)
    return found


def most_chi_square(
    f: FeatureReference, codes: npt.NDArray[np.int32], rows: int, length: int
) -> tuple[Floats, Ints]:
    """What chi-square of each window can be at most, and its freedom at least, shape (hours,) each.

    Putting cells together never makes it larger, and those of few rows are always put together.
    """
    live = _windows(codes, rows, length, f.width, 1)[:, : f.cells + 1]
    known = f.counts[: f.cells + 1]
    n, m = rows * length, int(known.sum())
    total = live + known
    few = total * (min(n, m) / (n + m)) < categories.SMALLEST_EXPECTED
    apart = (known * n - live * m).astype(np.float64)
    large = np.where(few, 0.0, apart**2 / np.maximum(total, 1)).sum(axis=1)
    small = (apart * few).sum(axis=1) ** 2 / np.maximum((total * few).sum(axis=1), 1)
    freedom = np.maximum(1, (~few).sum(axis=1) - MORE_POOLED)
    return (large + small) / (float(n) * m), freedom


@dataclasses.dataclass(frozen=True, slots=True)
class Alarms:
    """A month's alarms: how often the model began to page, alerts, and hours with one firing."""

    alarms: int
    alerts: int
    hours: int
    in_alarm: int


def alarms_of(moved: Bools, settings: ModelSettings) -> Alarms:
    """What the alert states make of an hour's judgements, one cause a feature."""
    rule = Rule(settings.hold, settings.clear, settings.cooldown_s * 1000)
    firing = np.zeros(len(moved), dtype=np.int64)
    alerts = 0
    for feature in np.flatnonzero(moved.any(axis=0)):
        state: AlertState = QUIET
        for hour, bad in enumerate(moved[:, feature].tolist()):
            seen = "bad" if bad else "good"
            state, told = step(state, seen, hour * HOUR_MS, (hour + 1) * HOUR_MS, rule)  # type: ignore[arg-type]
            alerts += told is not None and told.change == "firing"
            firing[hour] += state.state == "firing"
    began = (firing > 0) & ~np.concatenate([[False], firing[:-1] > 0])
    return Alarms(int(began.sum()), alerts, len(moved), int((firing > 0).sum()))


def agrees(month: Month, live: Sequence[Values], hour: int, settings: ModelSettings) -> bool:
    """Whether evaluations by the core say of one hour what the month says."""
    rows, moved = month.rows, np.zeros(len(live), dtype=bool)
    for window_s in settings.windows_s:
        share, length = Share(month.reference), window_s // HOUR_S
        at = slice((hour - length) * rows, hour * rows)
        some = {f"f{i}": Column(values[at]) for i, values in enumerate(live)}
        share.update(some, None, None, np.zeros(length * rows, dtype=np.int64))
        end = hour * HOUR_MS
        of = Subject("m", "1", settings, end - window_s * 1000, end)
        found = inputs_evaluation(of, month.reference, Merged(share)).readings
        main = [r for r in found if r.check in checks.MAIN.values()]
        moved |= np.array([r.verdict == "moved" for r in main])
    only = np.zeros((month.hours, len(live)), dtype=bool)
    only[hour - WARM_HOURS] = True
    return bool((moved == month.moved(settings, only)[hour - WARM_HOURS]).all())
