"""`vectors`: how often a vector as a whole is called moved by chance, and how soon when it moved.

Model-months of hourly evaluations of an embedding of 64 numbers, each with its own fresh reference
of 30 days. The level is what the whole gets beside its numbers, the half of a budget of 1.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from bench.decisions import rate
from bench.months import HOUR_MS, HOUR_S, Alarms, Bools, alarms_of
from bench.options import Options
from bench.tables import Cell, Table, Target
from stream.chronicles import calibrated
from stream.columns import Column, Floats, Ints
from stream.embeddings import joints, mmd
from stream.evaluations import level_of
from stream.judgements import inflated
from stream.layouts import WHOLE
from stream.measures import Comparison
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings
from stream.shares import Share
from stream.vectors import element

SIZE, FACTORS, ROWS = 64, 8, 100  # numbers, what lies behind them, rows an hour
DAYS, WARM, DELAY_HOURS = 30, 24, 240
MONTHS, DELAY_MONTHS, FEWEST = 24, 6, 3
BUDGET = 0.5
Random = np.random.Generator
COLUMNS = ("what", "windows, h", "model-months", "figure", "low", "high", "clean time, %")


def wish(window_s: int) -> ModelSettings:
    """Defaults but for the window; every change matters."""
    return ModelSettings(
        windows_s=(window_s,), expects_truth=False, effect_floor_sd=0.0, ignore=("v",)
    )


def mixing(random: Random) -> Floats:
    """How the factors of a model show in its numbers, shape (FACTORS, SIZE)."""
    found: Floats = random.normal(size=(FACTORS, SIZE))
    return found


def independent(random: Random, hours: int, _mixing: Floats) -> Floats:
    """Numbers that know nothing of each other."""
    found: Floats = random.normal(size=(hours * ROWS, SIZE))
    return found


def tied(random: Random, hours: int, known: Floats) -> Floats:
    """Numbers with few factors behind them."""
    found: Floats = random.normal(size=(hours * ROWS, FACTORS)) @ known
    return found + random.normal(size=found.shape)


def alike(random: Random, hours: int, known: Floats) -> Floats:
    """The same, each factor and each number like that of the row before (AR(1), .9)."""
    return _followed(random, hours, FACTORS) @ known + _followed(random, hours, SIZE)


def _followed(random: Random, hours: int, columns: int) -> Floats:
    shocks = random.normal(size=(hours * ROWS, columns)) * np.sqrt(1 - 0.81)
    for i in range(1, len(shocks)):
        shocks[i] += 0.9 * shocks[i - 1]
    found: Floats = shocks
    return found


def topics(random: Random, hours: int, known: Floats) -> Floats:
    """Four clusters whose shares wander from hour to hour (AR(1), .9)."""
    level = random.normal(size=(hours, 4)) * 0.3
    for i in range(1, hours):
        level[i] += 0.9 * level[i - 1]
    share = np.exp(level).cumsum(axis=1)
    share /= share[:, -1:]
    at = random.random((hours, ROWS, 1)) > share[:, None, :]
    middles = known[at.sum(axis=2).clip(max=3).ravel()]
    found: Floats = middles + random.normal(size=(hours * ROWS, SIZE))
    return found


def heavy(random: Random, hours: int, known: Floats) -> Floats:
    """Tied numbers with three degrees of freedom."""
    return tied(random, hours, known) / np.sqrt(random.chisquare(3, size=(hours * ROWS, 1)) / 3)


World = Callable[[Random, int, Floats], Floats]
WORLDS: Mapping[str, World] = {
    "independent numbers": independent,
    "8 factors": tied,
    "8 factors, AR(1) .9 rows": alike,
    "4 topics that wander": topics,
    "8 factors, heavy tails": heavy,
}


def shifted(random: Random, values: Floats, size: float) -> Floats:
    """All rows moved along a line of no number's, by so many deviations along it."""
    spread = np.linalg.cholesky(np.cov(values, rowvar=False))
    line = random.normal(size=SIZE)
    found: Floats = values + size * spread @ (line / np.linalg.norm(line))
    return found


def loosened(random: Random, values: Floats, share: float) -> Floats:
    """Some of the numbers taken from rows drawn for each: what ties them is gone."""
    found = values.copy()
    for i in random.permutation(SIZE)[: round(share * SIZE)]:
        found[:, i] = random.permutation(found[:, i])
    return found


CHANGES: Mapping[str, Callable[[Random, Floats], Floats]] = {
    "shift by 0.1 sd": lambda random, values: shifted(random, values, 0.1),
    "shift by 0.25 sd": lambda random, values: shifted(random, values, 0.25),
    "shift by 0.5 sd": lambda random, values: shifted(random, values, 0.5),
    "shift by 1 sd": lambda random, values: shifted(random, values, 1.0),
    "a tenth of the numbers loose": lambda random, values: loosened(random, values, 0.1),
    "half of the numbers loose": lambda random, values: loosened(random, values, 0.5),
}


def run(options: Options) -> Table:
    """The table."""
    rows: list[list[Cell]] = []
    targets: list[Target] = []
    months = max(FEWEST, round(MONTHS * options.scale))
    for name in WORLDS:
        for window_s in (DAY_S, HOUR_S):
            hours = window_s // HOUR_S
            found = options.simulated(
                f"vectors-{name}-{hours}", _Quiet(name, window_s), range(months), Alarms
            )
            mean, low, high = rate(found, BUDGET)
            clean = sum(one.in_alarm for one in found) / sum(one.hours for one in found)
            told: list[Cell] = [f"alarms / budget, {name}", hours, months, mean, low, high]
            rows.append([*told, 100 * clean])
            targets.append(Target(f"{name}, {hours} h: lower bound", low, at_most=1.0))
            targets.append(Target(f"{name}, {hours} h: clean time", clean, at_most=0.02))
    some = max(FEWEST, round(DELAY_MONTHS * options.scale))
    for name in ("8 factors", "8 factors, AR(1) .9 rows"):
        waits = options.simulated(
            f"vectors-moved-{name}", _Moved(name, DAY_S), range(some), dict[str, float]
        )
        for change in CHANGES:
            middle = float(np.median([one[change] for one in waits]))
            rows.append([f"hours to find {change}, {name}", 24, some, middle, None, None, None])
    note = f"{SIZE} numbers, {ROWS} rows an hour, 30 days of reference; budget {BUDGET:g} a month."
    return Table("vectors", "Vectors as a whole", COLUMNS, rows, targets, [note])


@dataclasses.dataclass(frozen=True, slots=True)
class _Quiet:
    """A month without any change, by its number."""

    world: str
    window_s: int

    def __call__(self, number: int) -> Alarms:
        random, settings = np.random.default_rng([7, number]), wish(self.window_s)
        known = mixing(random)
        reference = reference_of(WORLDS[self.world], random, known, settings)
        live = WORLDS[self.world](random, WARM + DAYS * 24, known)
        return alarms_of(sure(reference, live, settings)[:, None], settings)


@dataclasses.dataclass(frozen=True, slots=True)
class _Moved:
    """Hours from a change to the alarm, by change; DELAY_HOURS where there is none."""

    world: str
    window_s: int

    def __call__(self, number: int) -> dict[str, float]:
        random, settings = np.random.default_rng([8, number]), wish(self.window_s)
        known = mixing(random)
        reference = reference_of(WORLDS[self.world], random, known, settings)
        live = WORLDS[self.world](random, WARM + DELAY_HOURS, known)
        found: dict[str, float] = {}
        for change, made in CHANGES.items():
            moved = live.copy()
            moved[WARM * ROWS :] = made(random, live[WARM * ROWS :])
            hours = np.flatnonzero(sure(reference, moved, settings))
            found[change] = float(hours[0] + 1) if len(hours) else DELAY_HOURS
        return found


def reference_of(world: World, random: Random, known: Floats, settings: ModelSettings) -> Reference:
    """Calibrated in time order; by one number beside the vector, for K-S is another's business."""
    values = world(random, DAYS * 24, known)
    found = features(values) | {"x": Column(random.normal(size=len(values)))}
    times = np.repeat(np.arange(DAYS * 24) * HOUR_MS, ROWS)
    return calibrated(Reference.build("m", "1", found, max_edges=50), found, {}, times, settings)


def features(values: Floats) -> dict[str, Column]:
    """The numbers of the vector."""
    return {element("v", i): Column(values[:, i].copy()) for i in range(SIZE)}


def counts_by_hour(reference: Reference, live: Floats) -> Ints:
    """The whole's counts of each hour, shape (hours, places)."""
    whole = reference.wholes["v"]
    steps = whole.steps(features(live).values())
    return whole.tabulated(steps, np.arange(len(live)) // ROWS, len(live) // ROWS)


def sure(reference: Reference, live: Floats, settings: ModelSettings) -> Bools:
    """Whether chance is out at the end of each hour after the first day, shape (hours,)."""
    (window_s,) = settings.windows_s
    own = dataclasses.replace(settings, ignore=())
    level = min(own.significance, 2 * level_of(own) * BUDGET)
    up_to = np.cumsum(counts_by_hour(reference, live), axis=0)
    share, found = Share(reference), []
    feature = reference.features[element("v", SIZE - 1)]
    for hour in range(WARM, len(up_to)):
        share.counts("v", WHOLE)[:] = up_to[hour] - up_to[hour - window_s // HOUR_S]
        (joint,) = joints(reference, share, own, window_s, None).values()
        counts = share.counts(feature.name)
        m = mmd(Comparison(feature, counts, dataclasses.replace(own, minimum_rows=2), joint=joint))
        (one,) = inflated(reference, [m], own, window_s)
        assert one is not None
        found.append(one.p_value <= level)
    return np.array(found)
