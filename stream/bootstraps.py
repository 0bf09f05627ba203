"""Bootstraps: months without any change, made of a reference's own panes, and what they show.

Source: the multiplier bootstrap for dependent data (Bühlmann 1993; Shao 2010). A made-up pane is
a sum of deviations of panes that were seen, with signs by chance: its covariances are those of the
reference, over cells and over features. Panes are taken one by one where days are as even as their
panes let one expect, and whole days otherwise. Each made-up stretch is compared with a made-up
reference of the true one's size: its error is part of the chance.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stream.calibrations import GAPS, Calibration, Law, WindowLaw
from stream.columns import Floats, Ints
from stream.hours import SEASONS
from stream.settings import DAY_S, HOUR_S, Seasonality
from stream.slots import Counts
from stream.variations import (
    LEAST_DAYS,
    Singles,
    World,
    directions_of,
    inflations_of,
    likeness_of,
    order_of,
    whole_days,
    world_of,
)

STRETCH = 240  # panes that one made-up reference is compared with
MIXED = 4  # panes, or days, that one is made of
LEAST_PANES = 24
TOGETHER = 128  # numbers simulated together; of more, some by chance stand for all
CELLS_MADE = 60_000_000
PANES_MADE = (14_400, 57_600)
MOST, LEAST = 400, 8  # episodes between which the law of their rate is fitted
STEPS = 16
LEAST_PERIODS = 3
EQUAL = 1e-6  # of squared statistics
KOLMOGOROV = (float(np.log(2)), 2.0)  # intercept and slope of Kolmogorov's law


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to make. windows_s: lengths of windows, multiples of pane_s. season: of `found`.

    longer: more lengths, and which of `windows_s` each is a multiple of. They have laws of their
    own in truth, which are lower: what happens by chance to a longer window happens to it for
    longer, and so less often. The inflation is theirs.
    """

    pane_s: int
    windows_s: tuple[int, ...]
    seed: int = 0
    season: Seasonality = "none"
    longer: Mapping[int, int] = dataclasses.field(default_factory=dict)

    @property
    def period(self) -> "Period | None":
        """The hours that are compared each with itself."""
        hours = SEASONS[self.season]
        return Period(hours, HOUR_S // self.pane_s) if hours else None


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """Hours after which a season begins anew, and panes of each."""

    hours: int
    panes_an_hour: int

    @property
    def panes(self) -> int:
        """Of all of it."""
        return self.hours * self.panes_an_hour


def calibrate(
    found: Sequence[Counts], plan: Plan, first: int = 0, others: Sequence[Counts] = ()
) -> Calibration | None:
    """The calibration of a reference's numbers and names; None where its panes are too few.

    first: the number since 1970 of its first pane. others: categories and the like, of which only
    the inflation is worked out. The same for the same numbers and seed.
    """
    leading = found or others
    if not leading:
        return None
    used = np.flatnonzero(sum(c.rows for c in leading))
    if len(used) < LEAST_PANES or _too_short(plan, len(used)):
        return None
    days = whole_days(used, plan.pane_s, first)
    order = order_of(leading, days)
    units, loose = used[:, None] if order == "panes" else days, order == "hours"
    windows = [w for w in plan.windows_s if 3 * w <= units.size * plan.pane_s]
    if not windows:
        return None
    longer = {w: of for w, of in plan.longer.items() if 3 * w <= units.size * plan.pane_s}
    lengths = [w // plan.pane_s for w in windows]
    more = [w // plan.pane_s for w in longer]
    if found:
        random = np.random.default_rng([plan.seed, len(found), len(used)])
        inflations, laws = _of_numbers(found, units, loose, lengths, more, random, plan.period)
    else:  # nobody asks for laws of numbers
        kolmogorov = tuple(Law(gap, *KOLMOGOROV) for gap in GAPS)
        inflations, laws = np.zeros((0, len(lengths))), [kolmogorov for _ in lengths]
    some = [*zip(found, inflations, strict=True), *_apart(others, days, used, [*lengths, *more])]
    law_of = dict(zip(windows, laws, strict=True))
    law_of |= {w: law_of[of] for w, of in longer.items()}
    figures = {(c.name, c.role): tuple(x.tolist()) for c, x in some}
    return Calibration(
        seed=plan.seed,
        pane_s=plan.pane_s,
        panes=units.size,
        days=len(days),
        rows_a_pane=float(np.mean([c.rows[used].mean() for c in leading])),
        order=order,
        windows=tuple(WindowLaw(w, law) for w, law in law_of.items()),
        features={name: x for (name, role), x in figures.items() if role == "input"},
        outputs={name: x for (name, role), x in figures.items() if role == "output"},
        season=plan.season,
        missing={name: x for (name, role), x in figures.items() if role == "missing"},
        quality={name: x for (name, role), x in figures.items() if role == "quality"},
    )


def _of_numbers(
    found: Sequence[Counts],
    units: Ints,
    loose: bool,
    lengths: Sequence[int],
    more: Sequence[int],
    random: np.random.Generator,
    period: "Period | None",
) -> tuple[Floats, list[tuple[Law, ...]]]:
    """Inflations, shape (features, lengths and more), and the laws of each of `lengths`.

    Made-up panes know nothing of each other: their statistics are compared without the likeness.
    """
    world, both = world_of(found, units, loose), [*lengths, *more]
    inflations = inflations_of(world, both)
    chosen = np.sort(random.permutation(len(found))[:TOGETHER])
    drawn = Draws(world_of([found[i] for i in chosen], units, loose), lengths, period)
    laws = _laws(drawn, inflations[chosen], len(found) / len(chosen), random)
    return inflations + likeness_of(world, both), laws


def _too_short(plan: Plan, panes: int) -> bool:
    """Whether hours recur too seldom to show how much they vary."""
    period = plan.period
    least = 0 if period is None else max(LEAST_DAYS * DAY_S, LEAST_PERIODS * period.hours * HOUR_S)
    return panes * plan.pane_s < least


def _apart(
    others: Sequence[Counts], days: Ints, used: Ints, lengths: Sequence[int]
) -> Iterator[tuple[Counts, Floats]]:
    """Inflations of categories, each in an order of its own, shape (lengths,)."""
    for one in others:
        order = order_of([one], days)
        units = used[:, None] if order == "panes" else days
        world = world_of([one], units, order == "hours")
        yield one, (inflations_of(world, lengths) + likeness_of(world, lengths))[0]


@dataclasses.dataclass(frozen=True)
class Draws:
    """What stretches are drawn from, and for windows of which lengths, in panes.

    period: of the hours that are compared each with itself, where they are.
    """

    world: World
    lengths: Sequence[int]
    period: Period | None = None

    @functools.cached_property
    def freedom(self) -> float:
        """Degrees of it with which the variance of windows is known.

        Where panes are the units, twice a covariance of neighbours is part of it (`likeness_of`),
        known no better than the variance: the square of its error is twice that of the variance's.
        """
        units, slots, _ = self.world.shape
        if self.world.loose:
            return (units - 1) * slots
        alike = 3.0 if slots == 1 else 1.0
        return (units - 1) / (alike * directions_of(self.world))

    @property
    def panes(self) -> int:
        """Of a stretch and the longest window before it, in whole units."""
        slots = self.world.shape[1]
        return -(-(STRETCH + max(self.lengths)) // slots) * slots

    def rows(self) -> Singles:
        """Rows of each pane, shape (panes, columns); (panes, 1) where all columns have as many."""
        known = self.world.rows
        alike = bool((known == known[:, :1]).all())
        return np.tile(known[:, :1] if alike else known, (self.panes // self.world.shape[1], 1))

    def error(self, unsure: np.float32, random: np.random.Generator) -> Singles:
        """The reference's own, shape (panes, columns), or (1, columns) where all panes share it."""
        units, slots, columns = self.world.shape
        if self.period is None:
            whole = _mixed(self.world, 1, random)[0].sum(axis=0) * unsure
            whole *= np.float32(1 / (np.sqrt(units) * slots))
            return np.reshape(whole, (1, columns))
        panes, each = self.period.panes, self.period.panes_an_hour
        made = _mixed(self.world, panes // slots, random).reshape(-1, each, columns).mean(axis=1)
        made *= np.float32(np.sqrt(panes / (units * slots))) * unsure
        return np.repeat(made, each, axis=0)[np.arange(self.panes) % panes]

    def known(self, length: int) -> Floats:
        """Rows of the reference that windows are compared with, in panes' rows: by end."""
        units, slots, _ = self.world.shape
        if self.period is None:
            return np.full(STRETCH, float(units * slots))
        rows = np.tile(self.world.rows, (self.panes // slots, 1)).mean(axis=1, dtype=float)
        at = np.arange(self.panes)
        hour = at // self.period.panes_an_hour % self.period.hours
        by_hour = np.zeros((self.panes + 1, self.period.hours))
        by_hour[at + 1, hour] = rows
        up_to = by_hour.cumsum(axis=0)
        ends = np.arange(max(self.lengths), max(self.lengths) + STRETCH)
        n = up_to[ends] - up_to[ends - length]
        whole = np.tile(self.world.rows.mean(axis=1, dtype=float), self.period.panes // slots)
        m = whole.reshape(self.period.hours, -1).sum(axis=1) * units * slots / self.period.panes
        found: Floats = n.sum(axis=1) ** 2 / np.maximum((n**2 / np.maximum(m, 1e-9)).sum(1), 1e-9)
        return found


def _laws(
    drawn: Draws, inflations: Floats, stands_for: float, random: np.random.Generator
) -> list[tuple[Law, ...]]:
    """The laws of each length. stands_for: how many features each simulated one stands for."""
    columns = drawn.world.shape[2]
    panes = int(np.clip(CELLS_MADE // columns, *PANES_MADE))
    series: list[list[Floats]] = [[] for _ in drawn.lengths]
    known = [drawn.known(length) for length in drawn.lengths]
    for _ in range(-(-panes // STRETCH)):
        for i, largest in enumerate(_stretch(drawn, known, inflations, random)):
            series[i].append(largest)
    return [tuple(_law(some, gap, stands_for) for gap in GAPS) for some in series]


def _stretch(
    drawn: Draws, known: Sequence[Floats], inflations: Floats, random: np.random.Generator
) -> Iterator[Floats]:
    """Largest squared statistic over its inflation, of each length, shape (STRETCH,)."""
    world, lengths = drawn.world, drawn.lengths
    _, slots, columns = world.shape
    days = drawn.panes // slots
    # what a variance from so few units is worth: a normal variable over it is one of Student's
    unsure = np.float32(np.sqrt(drawn.freedom / random.chisquare(drawn.freedom)))
    made = (_mixed(world, days, random) * unsure).reshape(-1, columns)
    made += np.tile(world.usual, (days, 1))
    rows = drawn.rows()
    error = drawn.error(unsure, random)
    if drawn.period is not None:  # each hour has one of its own
        made, error = made - rows * error, np.zeros_like(error[:1])
    up_to, rows_to = _up_to(made), _up_to(rows)
    first, last = max(lengths), max(lengths) + STRETCH
    for i, length in enumerate(lengths):
        n = np.maximum(rows_to[first:last] - rows_to[first - length : last - length], 1e-6)
        apart = up_to[first:last] - up_to[first - length : last - length]
        apart /= n
        apart -= error
        m = known[i][:, None].astype(np.float32)
        apart *= np.sqrt(n * m / (n + m))
        far = np.maximum.reduceat(np.abs(apart, out=apart), world.starts, axis=1)
        yield ((far + world.corrections) ** 2 / inflations[:, i]).max(axis=1)


def _up_to(x: Singles) -> Singles:
    """Sums over the first 0, 1, ... rows, shape (rows + 1, columns)."""
    found = np.zeros((len(x) + 1, x.shape[1]), dtype=np.float32)
    np.cumsum(x, axis=0, out=found[1:])
    return found


def _mixed(world: World, count: int, random: np.random.Generator) -> Singles:
    """Units made of MIXED of those that were seen, each with a sign, shape (count, ...)."""
    units, slots, _ = world.shape
    found = np.zeros((count, *world.odd.shape[1:]), dtype=np.float32)
    width = slots if world.loose else 1
    at = np.arange(slots) if world.loose else slice(None)
    for _ in range(MIXED):
        signs = random.choice(np.array([-1, 1], np.float32), (count, width, 1))
        chosen = random.integers(0, units, (count, width))
        some = world.odd[chosen if world.loose else chosen[:, 0], at]
        found += some * (signs / np.float32(MIXED**0.5))
    return found


def _law(series: Sequence[Floats], gap: int, stands_for: float) -> Law:
    """The law of the rate at which episodes begin, from the largest statistics of stretches.

    The logarithm of their number falls evenly in the squared statistic, as that of
    Kolmogorov's law does.
    """
    every = np.array(series)
    x, before = every[:, gap:].ravel(), _largest_before(every, gap).ravel()
    highest, risen = np.sort(x), np.sort(np.minimum(x, before))

    def episodes(t: Floats) -> Floats:
        return (len(x) - np.searchsorted(highest, t, "right")).astype(float) - (
            len(x) - np.searchsorted(risen, t, "right")
        )

    tops = np.sort(np.where(x > before, x, 0))[::-1]
    levels = np.linspace(tops[min(MOST, len(tops) // 8)], tops[LEAST], STEPS)
    if levels[-1] - levels[0] < EQUAL:  # panes that do not differ: Kolmogorov's law
        return Law(gap, KOLMOGOROV[0] + float(np.log(stands_for)), KOLMOGOROV[1])
    number = np.maximum(episodes(levels), 1.0)
    slope, intercept = np.polyfit(levels, np.log(number), 1, w=np.sqrt(number))
    slope = min(float(slope), -1e-3)
    return Law(gap, float(intercept) + float(np.log(stands_for / len(x))), -slope)


def _largest_before(series: Floats, gap: int) -> Floats:
    """Largest of the `gap` values before each but the first ones of a stretch, a row a stretch."""
    windows = np.lib.stride_tricks.sliding_window_view(series[:, :-1], gap, axis=1)
    found: Floats = windows.max(axis=2)
    return found
