"""Months: a model's month of hourly evaluations, judged by the core, at the speed of arrays."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.worlds import HOURS_A_DAY, Values, World, columns
from stream.alerts import QUIET, AlertState, Rule, step
from stream.chronicles import calibrated
from stream.columns import Column, Ints
from stream.evaluations import Subject, inputs_evaluation
from stream.features import FeatureReference
from stream.judgements import allowed_of
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.windows import Merged

HOUR_MS, HOUR_S = 3_600_000, 3_600
REFERENCE_HOURS = 30 * HOURS_A_DAY
WARM_HOURS = HOURS_A_DAY  # before it, the longest window is not full
Statistics = npt.NDArray[np.float64]


def settings_of(budget: float, windows_s: tuple[int, ...]) -> ModelSettings:
    """Defaults but for the budget and the windows; every change matters."""
    return ModelSettings(
        false_alarms_per_month=budget,
        windows_s=windows_s,
        effect_floor_sd=0.0,
        effect_floor_share=0.0,
        effect_floor_data=0.0,
    )


def reference_of(
    world: World, random: np.random.Generator, settings: ModelSettings, hours: int = REFERENCE_HOURS
) -> Reference:
    """A fresh reference in order, calibrated as `driftline reference --time` does."""
    found = {f"f{i}": Column(x) for i, x in enumerate(columns(world, random, hours))}
    times = np.repeat(np.arange(hours) * HOUR_MS, world.rows)
    return calibrated(Reference.build("m", "1", found), found, {}, times, settings)


@dataclasses.dataclass(frozen=True, slots=True)
class Month:
    """How a window's counts compare with the reference, at the end of each hour.

    ratio: squared statistic over its inflation, by window length, shape (hours, features).
    """

    reference: Reference
    ratio: dict[int, Statistics]

    def sure(self, settings: ModelSettings) -> npt.NDArray[np.bool_]:
        """Whether chance is out, in any window, shape (hours, features)."""
        found = []
        for window_s in settings.windows_s:
            allowed = allowed_of(self.reference, settings, window_s)
            assert allowed is not None
            found.append(self.ratio[window_s] > allowed.threshold)
        every: npt.NDArray[np.bool_] = np.any(found, axis=0)
        return every


def month_of(
    reference: Reference, live: Sequence[Values], rows: int, windows_s: Sequence[int]
) -> Month:
    """live: a column a feature, hour after hour; the first WARM_HOURS are not judged."""
    ratio: dict[int, list[Statistics]] = {w: [] for w in windows_s}
    for feature, values in zip(reference.features.values(), live, strict=True):
        up_to = _up_to(feature, values, rows)
        for window_s in windows_s:
            ratio[window_s].append(_ratio(reference, feature, up_to, window_s))
    return Month(reference, {w: np.column_stack(some) for w, some in ratio.items()})


def _up_to(feature: FeatureReference, values: Values, rows: int) -> Ints:
    """Rows with each code or a smaller one, from the first hour on, shape (hours + 1, cells)."""
    hours = len(values) // rows
    codes = feature.codes(Column(values)) + np.repeat(np.arange(hours), rows) * feature.cells
    counts = np.bincount(codes, minlength=hours * feature.cells).reshape(hours, feature.cells)
    return np.concatenate([np.zeros((1, feature.cells), np.int64), counts]).cumsum(0).cumsum(1)


def _ratio(reference: Reference, f: FeatureReference, up_to: Ints, window_s: int) -> Statistics:
    calibration = reference.calibration
    assert calibration is not None
    inflation = calibration.inflation(f.name, "input", window_s)
    assert inflation is not None
    length = window_s // HOUR_S
    counts = up_to[WARM_HOURS:] - up_to[WARM_HOURS - length : len(up_to) - length]
    n, m = counts[:, -1], int(f.counts[: f.cells].sum())
    expected = np.cumsum(f.counts[: f.cells]) / m
    statistic = np.abs(counts / n[:, None] - expected).max(axis=1)
    found: Statistics = statistic**2 * (n * m / (n + m)) / inflation
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Alarms:
    """A month's alarms: how often the model began to page, alerts, and hours with one firing."""

    alarms: int
    alerts: int
    hours: int
    in_alarm: int


def alarms_of(sure: npt.NDArray[np.bool_], settings: ModelSettings) -> Alarms:
    """What the alert states make of an hour's judgements, one cause a feature."""
    rule = Rule(settings.hold, settings.clear, settings.cooldown_s * 1000)
    firing = np.zeros(len(sure), dtype=np.int64)
    alerts = 0
    for feature in np.flatnonzero(sure.any(axis=0)):
        state: AlertState = QUIET
        for hour, bad in enumerate(sure[:, feature].tolist()):
            seen = "bad" if bad else "good"
            state, told = step(state, seen, hour * HOUR_MS, (hour + 1) * HOUR_MS, rule)  # type: ignore[arg-type]
            alerts += told is not None and told.change == "firing"
            firing[hour] += state.state == "firing"
    began = (firing > 0) & ~np.concatenate([[False], firing[:-1] > 0])
    return Alarms(int(began.sum()), alerts, len(sure), int((firing > 0).sum()))


def agrees(month: Month, live: Sequence[Values], rows: int, hour: int, budget: float) -> bool:
    """Whether an evaluation by the core says of one hour what the arrays say."""
    windows_s = tuple(month.ratio)
    settings = settings_of(budget, windows_s)
    said = np.zeros(len(live), dtype=bool)
    for window_s in windows_s:
        share, length = Share(month.reference), window_s // HOUR_S
        at = slice((hour - length) * rows, hour * rows)
        some = {f"f{i}": Column(values[at]) for i, values in enumerate(live)}
        share.update(some, None, None, np.zeros(length * rows, dtype=np.int64))
        end = hour * HOUR_MS
        of = Subject("m", "1", settings, end - window_s * 1000, end)
        found = inputs_evaluation(of, month.reference, Merged(share))
        said |= np.array([r.verdict == "moved" for r in found.readings if r.check == "ks"])
    return bool((said == month.sure(settings)[hour - WARM_HOURS]).all())
