"""`seasons`: rows with a daily season compared by the hour, and with the whole reference.

Model-months as in `decisions`, of the world whose mean and spread follow the hour of the day.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from bench.decisions import LIVE_HOURS, rate
from bench.months import (
    HOUR_MS,
    HOUR_S,
    WARM_HOURS,
    Alarms,
    Bools,
    alarms_of,
    month_of,
    reference_of,
    settings_of,
)
from bench.options import Options
from bench.tables import Cell, Table, Target
from bench.worlds import HOURS_A_DAY, WORLDS, Values, World, columns
from stream.columns import Column, Floats
from stream.features import FeatureReference
from stream.hours import hours_of
from stream.judgements import allowed_of
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings, Seasonality

WORLD = WORLDS["daily season"]
MONTHS, DELAY_MONTHS, FEWEST = 60, 12, 3
SHIFTS_SD = (0.1, 0.25, 0.5, 1.0, 2.0)
DELAY_HOURS = 10 * HOURS_A_DAY
WAYS: tuple[Seasonality, ...] = ("hour-of-day", "none")
COLUMNS = ("what", "windows, h", "model-months", "figure", "low", "high", "clean time, %")


def run(options: Options) -> Table:
    """The table."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    for window_s in (HOUR_S, DAY_S):
        hours = str(window_s // HOUR_S)
        months = max(FEWEST, round(MONTHS * options.scale))
        found = quiet(WORLD, months, window_s)
        mean, low, high = rate(found, 1.0)
        clean = sum(one.in_alarm for one in found) / sum(one.hours for one in found)
        rows.append(["alarms / budget, by hour", hours, months, mean, low, high, 100 * clean])
        targets.append(Target(f"windows of {hours} h: lower bound", low, at_most=1.5))
        targets.append(Target(f"windows of {hours} h: upper bound", high, at_least=0.5))
        targets.append(Target(f"windows of {hours} h: clean time", clean, at_most=0.02))
        some = max(FEWEST, round(DELAY_MONTHS * options.scale))
        own, plain = (delays(WORLD, some, window_s, way) for way in WAYS)
        for shift in SHIFTS_SD:
            middle = [float(np.median(way[shift])) for way in (own, plain)]
            for way, figure in zip(("by hour", "whole"), middle, strict=True):
                what = f"hours to find {shift:g} sd, {way}"
                rows.append([what, hours, some, figure, None, None, None])
            what = f"windows of {hours} h: {shift:g} sd, by hour over whole"
            targets.append(Target(what, middle[0] - middle[1], at_most=1.0))
    note = (
        "Budget 1, effect floor off, 30 days of reference of 200 rows an hour; medians of delays."
    )
    return Table("seasons", "By the hour of the day", COLUMNS, rows, targets, [note])


def wish(window_s: int, season: Seasonality) -> ModelSettings:
    """Those of `decisions`, by hour."""
    return dataclasses.replace(settings_of(1.0, (window_s,)), seasonality=season)


def quiet(world: World, months: int, window_s: int, seed: int = 7) -> list[Alarms]:
    """Months without any change."""
    settings, found = wish(window_s, "hour-of-day"), []
    for number in range(months):
        random = np.random.default_rng([seed, number])
        reference = reference_of(world, random, settings)
        live = columns(world, random, WARM_HOURS + LIVE_HOURS)
        sure = sure_by_hour(reference, live, world.rows, settings)
        found.append(alarms_of(sure, settings))
    return found


def delays(
    world: World, months: int, window_s: int, season: Seasonality, seed: int = 8
) -> dict[float, list[float]]:
    """Hours from a shift to the alarm, by shift; DELAY_HOURS where there is none."""
    settings = wish(window_s, season)
    found: dict[float, list[float]] = {shift: [] for shift in SHIFTS_SD}
    for number in range(months):
        random = np.random.default_rng([seed, number])
        reference = reference_of(world, random, settings)
        (live,) = columns(world, random, WARM_HOURS + DELAY_HOURS)
        for shift in SHIFTS_SD:
            moved = live.copy()
            moved[WARM_HOURS * world.rows :] += shift * reference.features["f0"].sd
            if season == "none":
                sure = month_of(reference, [moved], world.rows).moved(settings)
            else:
                sure = sure_by_hour(reference, [moved], world.rows, settings)
            hours = np.flatnonzero(sure[1:].any(axis=1))
            found[shift].append(float(hours[0] + 1) if len(hours) else DELAY_HOURS)
    return found


def sure_by_hour(
    reference: Reference, live: Sequence[Values], rows: int, settings: ModelSettings
) -> Bools:
    """Whether chance is out, by ranks within the hour, shape (hours, features).

    Of windows of one length, of a day at most; there is no effect floor.
    """
    (window_s,) = settings.windows_s
    allowed = allowed_of(reference, settings, window_s)
    assert allowed is not None
    known = zip(reference.features.values(), live, strict=True)
    found = [ratio(reference, f, x, rows, window_s) > allowed.threshold for f, x in known]
    return np.column_stack(found)


def ratio(
    reference: Reference, f: FeatureReference, values: Values, rows: int, window_s: int
) -> Floats:
    """The squared statistic over its inflation, shape (hours,)."""
    table, calibration = f.hours, reference.calibration
    assert table is not None
    assert calibration is not None
    inflation = calibration.inflation(f.name, "input", window_s)
    assert inflation is not None
    length, codes = window_s // HOUR_S, f.codes(Column(values)).reshape(-1, rows)
    at = hours_of(np.arange(len(codes)) * HOUR_MS, "hour-of-day")
    counts = [np.bincount(some, minlength=f.cells)[: f.cells] for some in codes]
    found = np.array([table.tabulate(h, c) for h, c in zip(at.tolist(), counts, strict=True)])
    expected = (table.counts[:, : table.cells] / table.values[:, None])[at]
    apart = np.cumsum(_windows(found / rows - expected, length) / length, axis=1)
    n = length * rows
    m = n * n / (rows * rows * _windows(1 / table.values[at], length))
    result: Floats = np.abs(apart).max(axis=1) ** 2 * (n * m / (n + m)) / inflation
    return result


def _windows(x: Floats, length: int) -> Floats:
    """Sums over the hours of windows, from the first that is full after WARM_HOURS on."""
    up_to = np.concatenate([np.zeros_like(x[:1]), x]).cumsum(axis=0)
    found: Floats = up_to[WARM_HOURS:] - up_to[WARM_HOURS - length : len(up_to) - length]
    return found
