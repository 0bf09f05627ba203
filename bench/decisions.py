"""`decisions`: how often nothing alarms, and how soon something does.

Every model-month has a fresh reference of 30 ordered days and a month in which nothing changes, or
one number does from one hour on. `python -m bench decisions --scale 1` is 200 model-months at a
budget of 1 and as many at 0.1; 2,000 take `--scale 10`.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from bench.months import (
    WARM_HOURS,
    Alarms,
    agrees,
    alarms_of,
    month_of,
    reference_of,
    settings_of,
)
from bench.options import Options
from bench.tables import Cell, Table, Target
from bench.worlds import HOURS_A_DAY, WORLDS, World, columns
from stream.settings import DAY_S

MONTHS, FEWEST = 200, 4
LIVE_HOURS = 30 * HOURS_A_DAY
BUDGETS = (1.0, 0.1)
DEFAULT, SIDE_BY_SIDE = (DAY_S,), (3_600, DAY_S)
SHIFTS_SD = (0.1, 0.25, 0.5, 1.0, 2.0)
DELAY_MONTHS, DELAY_HOURS = 40, 10 * HOURS_A_DAY
# what `shared/calibration.md`'s study measured, of windows of an hour and a day side by side
DELAYS: dict[str, tuple[World, tuple[float, ...]]] = {
    "i.i.d., 1,000 an hour": (
        dataclasses.replace(WORLDS["i.i.d. normal"], rows=1_000),
        (3, 1, 1, 1, 1),
    ),
    "AR(1) .9, 1,000 an hour": (
        dataclasses.replace(WORLDS["AR(1) .9"], rows=1_000),
        (23.5, 9, 2, 1, 1),
    ),
}
Lines = list[list[Cell]]
COLUMNS = ("what", "budget", "model-months", "figure", "low", "high", "5%", "95%", "clean time, %")


def run(options: Options) -> Table:
    """The table."""
    rows: Lines = []
    targets: list[Target] = []
    for name, world in WORLDS.items():
        heavy = 10 if world.features > 1 else 1
        months = max(FEWEST, round(MONTHS * options.scale / heavy))
        found = quiet(world, months, DEFAULT)
        for budget in BUDGETS:
            rows.append(_ratio(name, budget, found[budget]))
            targets += _targets(name, budget, found[budget])
    for name, (world, known) in DELAYS.items():
        lines, aims = _delays(name, world, known, max(FEWEST, round(DELAY_MONTHS * options.scale)))
        rows += lines
        targets += aims
    notes = [
        "Alarms: times at which a model begins to page, over those allowed; low and high bound the "
        "rate with 95%, 5% and 95% are quantiles of a model-month's alarms. Default settings but "
        "for the effect floor, which is off; 200 rows an hour, windows of a day, 100 features: a "
        "tenth of the model-months.",
        f"Delays: hours in the middle, then in nine of ten; windows of an hour and of a day, "
        f"budget 1. Never: {DELAY_HOURS} or more. A detector that always alarms finds all in 1 "
        "hour and is in alarm 100% of clean time.",
    ]
    return Table("decisions", "Alarms over their budget, and delays", COLUMNS, rows, targets, notes)


def quiet(
    world: World, months: int, windows_s: tuple[int, ...], seed: int = 7
) -> dict[float, list[Alarms]]:
    """Months without any change, by budget; the first is compared with the core's evaluations."""
    found: dict[float, list[Alarms]] = {budget: [] for budget in BUDGETS}
    for number in range(months):
        random = np.random.default_rng([seed, number])
        reference = reference_of(world, random, settings_of(1.0, windows_s))
        live = columns(world, random, WARM_HOURS + LIVE_HOURS)
        month = month_of(reference, live, world.rows, windows_s)
        if number == 0:
            assert agrees(month, live, world.rows, 3 * HOURS_A_DAY, budget=50.0)
        for budget in BUDGETS:
            settings = settings_of(budget, windows_s)
            found[budget].append(alarms_of(month.sure(settings), settings))
    return found


def rate(found: Sequence[Alarms], budget: float) -> tuple[float, float, float]:
    """Alarms over the budget, and where it lies with 95%.

    The larger of two bounds: of Poisson's law, and of the mean of months that differ.
    """
    alarms = np.array([one.alarms for one in found])
    allowed, total = budget * len(found), int(alarms.sum())
    low = stats.chi2.ppf(0.025, 2 * total) / 2 if total else 0.0
    high = stats.chi2.ppf(0.975, 2 * total + 2) / 2
    spread = 1.96 * float(alarms.std(ddof=1)) * np.sqrt(len(found))
    return (
        total / allowed,
        max(0.0, min(low, total - spread)) / allowed,
        max(high, total + spread) / allowed,
    )


def _ratio(name: str, budget: float, found: Sequence[Alarms]) -> list[Cell]:
    few, many = np.quantile([one.alarms for one in found], [0.05, 0.95])
    ratio, low, high = rate(found, budget)
    told: list[Cell] = [f"alarms / budget, {name}", f"{budget:g}", len(found)]
    return [*told, ratio, low, high, float(few), float(many), 100 * _clean(found)]


def _clean(found: Sequence[Alarms]) -> float:
    return sum(one.in_alarm for one in found) / sum(one.hours for one in found)


def _targets(name: str, budget: float, found: Sequence[Alarms]) -> Iterator[Target]:
    """A rate is within its bounds unless these months show that it is not."""
    _, low, high = rate(found, budget)
    yield Target(f"{name}, budget {budget:g}: lower bound of alarms / budget", low, at_most=1.5)
    yield Target(f"{name}, budget {budget:g}: upper bound of alarms / budget", high, at_least=0.5)
    yield Target(f"{name}, budget {budget:g}: clean time in alarm", _clean(found), at_most=0.02)


def _delays(
    name: str, world: World, known: Sequence[float], months: int
) -> tuple[Lines, list[Target]]:
    rows: Lines = []
    targets = []
    found = delays(world, months)
    for shift, least in zip(SHIFTS_SD, known, strict=True):
        middle, most = np.quantile(found[shift], [0.5, 0.9])
        what = f"hours to find {shift:g} sd, {name}"
        rows.append([what, "1", months, float(middle), None, float(most), None, None, None])
        targets.append(Target(f"{what}, median", float(middle), at_most=least))
    return rows, targets


def delays(world: World, months: int, seed: int = 8) -> dict[float, list[float]]:
    """Hours from a shift of the first number to the alarm, by shift, DELAY_HOURS where none."""
    settings = settings_of(1.0, SIDE_BY_SIDE)
    found: dict[float, list[float]] = {shift: [] for shift in SHIFTS_SD}
    for number in range(months):
        random = np.random.default_rng([seed, number])
        reference = reference_of(world, random, settings)
        live = columns(world, random, WARM_HOURS + DELAY_HOURS)
        deviation = reference.features["f0"].sd
        for shift in SHIFTS_SD:
            moved = live[0].copy()
            moved[WARM_HOURS * world.rows :] += shift * deviation
            month = month_of(reference, [moved, *live[1:]], world.rows, SIDE_BY_SIDE)
            hours = np.flatnonzero(month.sure(settings)[1:].any(axis=1))
            found[shift].append(float(hours[0] + 1) if len(hours) else DELAY_HOURS)
    return found
