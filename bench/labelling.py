"""`labelling`: how often notices about labels come by chance, and how soon where labels changed.

Models of 500 predictions a day, labelled two days later in the middle; how fast, and with which
odds of the one class of two, varies from day to day as a world says. Days are judged by the core.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy import stats

from bench.options import Options
from bench.tables import Cell, Table, Target
from stream.columns import Floats, Ints
from stream.delays import ends_of
from stream.judgements import LABELS
from stream.labelling import DELAY, MIX, compared
from stream.settings import DAY_S, ModelSettings
from stream.stints import Stint, Stints

A_DAY = 4  # panes
ENDS = ends_of(10 * A_DAY + 1)
SETTINGS = ModelSettings(pane_s=DAY_S // A_DAY, windows_s=(DAY_S,), horizon_s=10 * DAY_S)
DAY_MS, MONTH_DAYS = DAY_S * 1000, 30
ROWS = 500 // A_DAY
AGES = 10 * A_DAY
SHARE, SPEED = 0.2, 0.5  # of the one class; labels a day of what waits
SPREAD = 0.3  # of the logarithms of speed and odds
WARM, DAYS, CHANGED = 10, 130, 30
MODELS, CHANGED_MODELS, FEWEST = 130, 40, 3
Random = np.random.Generator
COLUMNS = ("what", "models", "delay", "mix")


def even(_random: Random, days: int) -> Floats:
    """Nothing varies."""
    return np.zeros(days)


def weekly(_random: Random, days: int) -> Floats:
    """A third of it at weekends."""
    return np.where(np.arange(days) % 7 >= 5, np.log(0.3), 0.0)


def restless(random: Random, days: int) -> Floats:
    """By 30% from day to day."""
    return SPREAD * random.normal(size=days)


def unruly(random: Random, days: int) -> Floats:
    """Twice as much."""
    return 2 * restless(random, days)


def wandering(random: Random, days: int, phi: float = 0.8) -> Floats:
    """As restless, each day like the one before (AR(1))."""
    found = restless(random, days)
    for i in range(1, days):
        found[i] = phi * found[i - 1] + (1 - phi * phi) ** 0.5 * found[i]
    return found


def slow(random: Random, days: int) -> Floats:
    """The same, more so."""
    return wandering(random, days, 0.95)


def both(random: Random, days: int) -> Floats:
    """Weekly and restless."""
    return weekly(random, days) + restless(random, days)


def heavy(random: Random, days: int) -> Floats:
    """As restless, with three degrees of freedom: once in a while a day is far out indeed."""
    found: Floats = SPREAD / 3**0.5 * random.standard_t(3, size=days)
    return found


WORLDS: Mapping[str, Callable[[Random, int], Floats]] = {
    "even": even,
    "a third at weekends": weekly,
    "30% from day to day": restless,
    "60% from day to day": unruly,
    "30%, and a third at weekends": both,
    "30%, AR(1) .8": wandering,
    "30%, AR(1) .95": slow,
    "30%, heavy tails": heavy,
}
HONEST = [*WORLDS][:-1]  # no law of a few weeks tells how far out the tails go


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What happens to labels: times as long, and which share of the class."""

    times: float = 1.0
    share: float = SHARE


CHANGES: Mapping[str, Change] = {
    "delay doubles": Change(times=2.0),
    "delay four times": Change(times=4.0),
    "share .2 to .4": Change(share=0.4),
    "share .2 to .6": Change(share=0.6),
}


def run(options: Options) -> Table:
    """The table."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    models = max(FEWEST, round(MODELS * options.scale))
    share = SETTINGS.false_alarms_per_month * LABELS / 2
    for world in WORLDS:
        found = options.simulated(
            f"labelling-{world}", Model(world), range(models), dict[str, list[int]]
        )
        months = models * (DAYS - WARM) / MONTH_DAYS
        begun = {kind: sum(len(one[kind]) for one in found) for kind in (DELAY, MIX)}
        rate = {kind: n / months for kind, n in begun.items()}
        rows.append([f"notices a month, {world}", models, rate[DELAY], rate[MIX]])
        for kind, n in begun.items() if world in HONEST else ():
            least = _at_least(n) / months
            targets.append(Target(f"{kind}, {world}: lower bound", least, at_most=share))
    some = max(FEWEST, round(CHANGED_MODELS * options.scale))
    for world in ("even", "a third at weekends", "30% from day to day"):
        for name in CHANGES:
            seen = options.simulated(
                f"labelling-{world}-{name}",
                Model(world, name),
                range(some),
                dict[str, list[int]],
            )
            for days in (1, 14):
                told = [_told(seen, kind, days) for kind in (DELAY, MIX)]
                rows.append([f"told within {days} days, %: {name}, {world}", some, *told])
    note = f"The share of each of the two is {share:g} a month; the worlds' days are {DAYS - WARM}."
    return Table("labelling", "Notices about labels", COLUMNS, rows, targets, [note])


def _told(seen: list[dict[str, list[int]]], kind: str, days: int) -> float:
    in_time = [any(0 <= day - CHANGED < days for day in one[kind]) for one in seen]
    return 100 * sum(in_time) / len(in_time)


def _at_least(n: int) -> float:
    """The one-sided lower bound of 95% of a count's mean (Garwood 1936)."""
    return float(stats.chi2.ppf(0.05, 2 * n) / 2) if n else 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """Days on which notices of a model begin, by its number and kind."""

    world: str
    change: str | None = None

    def __call__(self, number: int) -> dict[str, list[int]]:
        """Of the model of a number; its world's seed is the same with a change and without."""
        random = np.random.default_rng([9, number])
        change = CHANGES[self.change] if self.change else Change()
        days = CHANGED + 14 if self.change else DAYS
        found = stints(WORLDS[self.world], random, days, change)
        return begun(found, skip=0 if self.change else WARM)


def begun(found: Iterator[Stint], skip: int = 0) -> dict[str, list[int]]:
    """Judge one after the other, as `stream.monitor.labelling` does: when notices begin."""
    known = Stints(SETTINGS, ENDS)
    told: dict[str, list[int]] = {DELAY: [], MIX: []}
    last: set[str] = set()
    for day, stint in enumerate(found):
        known.open_ms = day * DAY_MS
        known.found[known.open_ms] = stint
        known.close(stint.risk, stint.came)
        for reading in compared(stint, day * DAY_MS, known, SETTINGS):
            if reading.verdict == "moved":
                stint.odd.add(reading.check)
        for kind in sorted(stint.odd - last):
            if day >= skip:
                told[kind].append(day)
        last = stint.odd
    return told


def stints(
    world: Callable[[Random, int], Floats], random: Random, days: int, change: Change
) -> Iterator[Stint]:
    """Days of labels, after as many as a label may take; what changes does on day CHANGED."""
    lead = AGES // A_DAY + 1
    came, hits, rows = _simulated(world, random, lead + days, change, lead + CHANGED)
    bins = len(ENDS)
    risk, passed = (np.zeros((lead + days + bins, bins), dtype=np.int64) for _ in range(2))
    mix = np.zeros((2, lead + days + bins, bins), dtype=np.int64)
    first, made = 0, np.arange(len(rows))
    for place, end in enumerate(ENDS[ENDS <= AGES].tolist()):
        ages = slice(first, end)
        day = (made + end - 1) // A_DAY
        np.add.at(risk[:, place], day, rows - came[:, :first].sum(axis=1))
        np.add.at(passed[:, place], day, came[:, ages].sum(axis=1))
        for age in range(first, end):
            day = (made + age) // A_DAY
            np.add.at(mix[1, :, place], day, hits[:, age])
            np.add.at(mix[0, :, place], day, came[:, age] - hits[:, age])
        first = end
    for day in range(lead, lead + days):
        named = {"0": mix[0, day], "1": mix[1, day]}
        yield Stint(risk[day], passed[day], named)


def _simulated(
    world: Callable[[Random, int], Floats], random: Random, days: int, change: Change, on: int
) -> tuple[Ints, Ints, Ints]:
    """Labels, and those of the one class, by pane of the prediction and age; and predictions."""
    after = np.arange(days) >= on
    speed = SPEED / A_DAY * np.exp(world(random, days)) / np.where(after, change.times, 1.0)
    share = np.where(after, change.share, SHARE)
    odds = share / (1 - share) * np.exp(world(random, days))
    panes, ages = days * A_DAY, np.arange(AGES)
    rows = random.poisson(ROWS, size=panes + AGES)
    left, came = rows.copy(), np.zeros((panes + AGES, AGES), dtype=np.int64)
    hits = np.zeros_like(came)
    for pane in range(panes):
        day, some = pane // A_DAY, ages[: pane + 1]
        now = random.binomial(left[pane - some], 1 - np.exp(-speed[day]))
        came[pane - some, some] = now
        hits[pane - some, some] = random.binomial(now, odds[day] / (1 + odds[day]))
        left[pane - some] -= now
    return came[:panes], hits[:panes], rows[:panes]
