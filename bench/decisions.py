"""`decisions`: how often nothing alarms, and how soon something does (`bench.delays`).

Every model-month has a fresh reference of 30 ordered days and a month in which nothing changes.
`--scale 1` is 2,000 model-months of each world, judged at budgets of 1 and of 0.1: five hours of
one core. `--jobs 2` shares them out to two processes, `--keep FOLDER` lets another run go on.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from bench import delays
from bench.months import (
    WARM_HOURS,
    Alarms,
    Bools,
    agrees,
    alarms_of,
    month_of,
    reference_of,
    settings_of,
)
from bench.options import Options
from bench.tables import Cell, Table, Target
from bench.worlds import HOURS_A_DAY, WORLDS, columns
from stream.settings import ModelSettings

MONTHS, FEWEST = 2_000, 4
LIVE_HOURS = 30 * HOURS_A_DAY
DEFAULT = ModelSettings().windows_s
LOOSE = 50.0  # a budget so large that much alarms, to compare months with the core's evaluations
COLUMNS = (
    "world", "budget", "effect floor", "model-months", "alarms / budget", "low", "high",
    "alarms, 5%", "95%", "clean time, %",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """How months are judged: at a budget, with the default effect floors or with none."""

    budget: float
    floors: bool = False

    def settings(self, windows_s: tuple[int, ...]) -> ModelSettings:
        """The model's."""
        return settings_of(self.budget, windows_s, floors=self.floors)


CASES = (Case(1.0), Case(0.1), Case(1.0, floors=True), Case(0.1, floors=True))
Found = dict[Case, list[Alarms]]


def run(options: Options) -> list[Table]:
    """The tables."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    for name in WORLDS:
        months = max(FEWEST, round(MONTHS * options.scale))
        found = quiet(options, name, months, DEFAULT)
        rows += [_row(name, case, found[case]) for case in CASES]
        targets += [target for case in CASES for target in _targets(name, case, found[case])]
    notes = [
        "Alarms: times at which a model begins to page, over those allowed; low and high bound the "
        "rate with 95%; 5% and 95% are quantiles of the alarms of a model-month. Default settings, "
        "200 rows an hour (20 of 100 features), 30 days of reference, fixed seeds.",
        "Rates of few model-months are no more than their bounds say.",
    ]
    table = Table("decisions", "Alarms over their budget while nothing changes", COLUMNS, rows)
    table = dataclasses.replace(table, targets=targets, notes=notes)
    return [table, *delays.tables(options)]


def quiet(options: Options, name: str, months: int, windows_s: tuple[int, ...]) -> Found:
    """Months without any change in a world, by case."""
    one = functools.partial(quiet_month, name, windows_s)
    every = options.simulated(f"months of {name}", one, range(months), list[Alarms])
    return {case: [found[i] for found in every] for i, case in enumerate(CASES)}


def quiet_month(name: str, windows_s: tuple[int, ...], number: int, seed: int = 7) -> list[Alarms]:
    """One of them, judged in each case; the first is compared with the core's evaluations.

    A smaller budget, or a floor, only takes away: what did not alarm before is not looked at again.
    """
    world, random = WORLDS[name], np.random.default_rng([seed, number])
    reference = reference_of(world, random, settings_of(1.0, windows_s))
    live = columns(world, random, WARM_HOURS + LIVE_HOURS)
    month = month_of(reference, live, world.rows)
    if number == 0:
        assert agrees(month, live, 3 * HOURS_A_DAY, settings_of(LOOSE, windows_s))
    found: dict[Case, Bools] = {}
    for case in CASES:
        settings = case.settings(windows_s)
        wider = found.get(Case(case.budget)) if case.floors else found.get(CASES[0])
        found[case] = month.moved(settings, wider)
    return [alarms_of(moved, case.settings(windows_s)) for case, moved in found.items()]


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


def _row(name: str, case: Case, found: Sequence[Alarms]) -> list[Cell]:
    few, many = np.quantile([one.alarms for one in found], [0.05, 0.95])
    told: list[Cell] = [name, f"{case.budget:g}", "on" if case.floors else "off", len(found)]
    return [*told, *rate(found, case.budget), float(few), float(many), 100 * _clean(found)]


def _clean(found: Sequence[Alarms]) -> float:
    return sum(one.in_alarm for one in found) / sum(one.hours for one in found)


def _targets(name: str, case: Case, found: Sequence[Alarms]) -> Iterator[Target]:
    """Of rates that are to be kept. Categories have a ceiling and no floor."""
    ratio, low, high = rate(found, case.budget)
    said = f"{name}, budget {case.budget:g}"
    if case.floors:
        yield Target(f"{said}, with the effect floor: alarms / budget", ratio, at_most=1.0)
        return
    least = None if WORLDS[name].named else 0.5
    bounds = f"{low:.2f} to {high:.2f}"
    yield Target(f"{said}: alarms / budget ({bounds} with 95%)", ratio, least, 1.5)
    yield Target(f"{said}: share of clean time in alarm", _clean(found), at_most=0.02)
