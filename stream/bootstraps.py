"""Bootstraps: months without any change, made of a reference's own panes, and what they show.

Source: the multiplier bootstrap for dependent data (Bühlmann 1993; Shao 2010). A made-up pane is
a sum of deviations of panes that were seen, with signs by chance: its covariances are those of the
reference, over cells and over features. Panes are taken one by one where days are as even as their
panes let one expect, and whole days otherwise. Each made-up stretch is compared with a made-up
reference of the true one's size: its error is part of the chance.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from stream.calibrations import GAPS, Calibration, Law, WindowLaw
from stream.columns import Floats, Ints
from stream.settings import DAY_S
from stream.slots import Counts

Singles = npt.NDArray[np.float32]
STRETCH = 240  # panes that one made-up reference is compared with
MIXED = 4  # panes, or days, that one is made of
LEAST_PANES, LEAST_DAYS = 24, 7
TOGETHER = 128  # numbers simulated together; of more, some by chance stand for all
CELLS_MADE = 60_000_000
PANES_MADE = (14_400, 57_600)
# chance at which days are said to be more even, or less, than their panes, though they are not: to
# say so wrongly costs false alarms where they are more even, and power where they are less
TOO_EVEN, TOO_ODD = 0.001, 0.05
DIRECTIONS = 0.29  # a day's cells tell as much of its variance as so many days by one figure
MOST, LEAST = 400, 8  # episodes between which the law of their rate is fitted
STEPS = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to make. windows_s: lengths of windows, multiples of pane_s."""

    pane_s: int
    windows_s: tuple[int, ...]
    seed: int = 0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _World:
    """What made-up panes are made of. A unit is a pane, or a day of so many slots.

    odd: shape (units, slots, columns), deviations from what is usual, in rows, over the square
    root of a pane's rows. usual: shape (slots, columns), the same of slots from the whole. rows:
    shape (slots, columns), of a slot over the mean. variance: shape (columns,), of one row.
    starts: shape (features,), where a feature's columns begin. corrections: shape (features,).
    """

    odd: Singles
    usual: Singles
    rows: Singles
    variance: Singles
    starts: Ints
    corrections: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """Units, slots and columns."""
        units, slots, columns = self.odd.shape
        return units, slots, columns


def calibrate(found: Sequence[Counts], plan: Plan, first: int = 0) -> Calibration | None:
    """The calibration of a reference's numbers; None where its panes are too few.

    first: the number since 1970 of its first pane. The same for the same numbers and seed.
    """
    if not found:
        return None
    used = np.flatnonzero(sum(c.rows for c in found))
    if len(used) < LEAST_PANES:
        return None
    days = _days(used, plan, first)
    by_day = len(days) >= LEAST_DAYS and _odd_days(found, days)
    units = days if by_day else used[:, None]
    windows = [w for w in plan.windows_s if 3 * w <= units.size * plan.pane_s]
    if not windows:
        return None
    lengths = [w // plan.pane_s for w in windows]
    inflations = _inflations(_world(found, units), lengths)
    random = np.random.default_rng([plan.seed, len(found), len(used)])
    chosen = np.sort(random.permutation(len(found))[:TOGETHER])
    world = _world([found[i] for i in chosen], units)
    laws = _laws(world, inflations[chosen], lengths, len(found) / len(chosen), random)
    figures = {(c.name, c.role): tuple(x.tolist()) for c, x in zip(found, inflations, strict=True)}
    return Calibration(
        seed=plan.seed,
        pane_s=plan.pane_s,
        panes=units.size,
        days=len(days),
        rows_a_pane=float(np.mean([c.rows[used].mean() for c in found])),
        order="days" if by_day else "panes",
        windows=tuple(WindowLaw(w, law) for w, law in zip(windows, laws, strict=True)),
        features={name: x for (name, role), x in figures.items() if role == "input"},
        outputs={name: x for (name, role), x in figures.items() if role == "output"},
    )


def _days(used: Ints, plan: Plan, first: int) -> Ints:
    """The panes of whole days, shape (days, slots): those with most of their panes in use."""
    slots = DAY_S // plan.pane_s
    if DAY_S % plan.pane_s or slots < 2:
        return np.zeros((0, 1), dtype=np.int64)
    day = (first + used) // slots
    numbers, panes = np.unique(day, return_counts=True)
    whole = numbers[(panes >= 0.8 * panes.max())]
    at = whole[:, None] * slots - first + np.arange(slots)
    inside: Ints = at[(at[:, 0] >= 0) & (at[:, -1] <= int(used[-1]))]
    return inside


def _odd_days(found: Sequence[Counts], days: Ints) -> bool:
    """Whether days vary more, or less, than as many panes that know nothing of each other.

    In any feature.
    """
    freedom = (len(days) - 1) / DIRECTIONS
    low, high = stats.chi2.ppf([TOO_EVEN / len(found), 1 - TOO_ODD / len(found)], freedom)
    for one in found:
        by_pane, by_day = (_world([one], units) for units in (days.reshape(-1, 1), days))
        ratio = float((_inflations(by_day, [days.shape[1]]) / _inflations(by_pane, [1]))[0, 0])
        if not low <= ratio * freedom <= high:
            return True
    return False


def _world(found: Sequence[Counts], units: Ints) -> _World:
    """units: shape (units, slots), panes of the reference."""
    parts = [_deviations(one, units) for one in found]
    odd = np.concatenate([part[0] for part in parts], axis=2)
    columns = [len(one.whole) for one in found]
    variance = np.concatenate([np.maximum(c.whole * (1 - c.whole), 1e-9) for c in found])
    return _World(
        odd,
        np.concatenate([part[1] for part in parts], axis=1),
        np.concatenate([part[2] for part in parts], axis=1),
        variance.astype(np.float32),
        np.cumsum([0, *columns[:-1]]),
        np.array([one.correction for one in found]),
    )


def _deviations(one: Counts, units: Ints) -> tuple[Singles, Singles, Singles]:
    """What is odd, what is usual and the rows of a slot: see `_World`."""
    counts, rows = one.counts[units], one.rows[units]
    whole = counts.sum(axis=(0, 1)) / max(1, int(rows.sum()))
    apart = counts - rows[..., None] * whole
    mean = max(float(rows.mean()), 1e-9)
    n, slots, _ = apart.shape
    if slots == 1:  # panes of few rows tell as much of one row as panes of many
        filled = max(2, int((rows > 0).sum()))
        scale = np.sqrt(n / (filled - 1) / np.maximum(rows, 1))
        odd = apart * scale[..., None]
        usual, of_slots = np.zeros_like(apart[0]), np.ones_like(apart[0])
    else:
        usual = apart.mean(axis=0) / np.sqrt(mean)
        odd = (apart / np.sqrt(mean) - usual) * np.sqrt(n / (n - 1))
        of_slots = np.broadcast_to(rows.mean(axis=0)[:, None] / mean, usual.shape)
    return odd.astype(np.float32), usual.astype(np.float32), of_slots.astype(np.float32)


def _inflations(world: _World, lengths: Sequence[int]) -> Floats:
    """Variance of the distribution in windows over that of as many independent rows.

    Shape (features, lengths): the mean over cells and over places in the day.
    """
    _, _, columns = world.shape
    ends = [*world.starts[1:].tolist(), columns]
    found = np.zeros((len(world.starts), len(lengths)))
    for i, length in enumerate(lengths):
        ratio = _variances(world, length) / world.variance
        for j, (start, end) in enumerate(zip(world.starts, ends, strict=True)):
            found[j, i] = max(float(ratio[start:end].mean()), 1e-3)
    return found


def _variances(world: _World, length: int) -> Floats:
    """Variance of a window's deviation, over its rows, shape (columns,)."""
    _, slots, columns = world.shape
    total, places = np.zeros(columns), np.zeros(columns)
    for start in range(slots):
        pieces = [(start, min(start + length, slots))]
        days, rest = divmod(length - (pieces[0][1] - start), slots)
        pieces += [(0, rest)] if rest else []
        whole = [(0, slots)] * min(days, 1)
        variance, usual, rows = np.zeros(columns), np.zeros(columns), np.zeros(columns)
        for times, some in ((1, pieces), (days, whole)):
            for a, b in some:
                variance += times * (world.odd[:, a:b].sum(axis=1) ** 2).mean(axis=0)
                usual += times * world.usual[a:b].sum(axis=0)
                rows += times * world.rows[a:b].sum(axis=0)
        total += np.where(rows > 0, (variance + usual**2) / np.maximum(rows, 1e-9), 0.0)
        places += rows > 0
    return total / np.maximum(places, 1.0)


def _laws(
    world: _World,
    inflations: Floats,
    lengths: Sequence[int],
    stands_for: float,
    random: np.random.Generator,
) -> list[tuple[Law, ...]]:
    """The laws of each length. stands_for: how many features each simulated one stands for."""
    columns = world.shape[2]
    panes = int(np.clip(CELLS_MADE // columns, *PANES_MADE))
    series: list[list[Floats]] = [[] for _ in lengths]
    for _ in range(-(-panes // STRETCH)):
        for i, largest in enumerate(_stretch(world, inflations, lengths, random)):
            series[i].append(largest)
    return [tuple(_law(some, gap, stands_for) for gap in GAPS) for some in series]


def _stretch(
    world: _World, inflations: Floats, lengths: Sequence[int], random: np.random.Generator
) -> Iterator[Floats]:
    """Largest squared statistic over its inflation, of each length, shape (STRETCH,)."""
    units, slots, columns = world.shape
    days = -(-(STRETCH + max(lengths)) // slots)
    # what a variance from so few units is worth: a normal variable over it is one of Student's
    unsure = np.float32(np.sqrt((units - 1) / random.chisquare(units - 1)))
    made = (_mixed(world.odd, days, random) * unsure).reshape(-1, columns)
    made += np.tile(world.usual, (days, 1))
    rows = np.tile(world.rows, (days, 1))
    error = _mixed(world.odd.sum(axis=1, keepdims=True), 1, random)[0, 0] * unsure
    error *= np.float32(1 / (np.sqrt(units) * slots))
    up_to = np.concatenate([np.zeros((1, columns), np.float32), np.cumsum(made, axis=0)])
    rows_to = np.concatenate([np.zeros((1, columns), np.float32), np.cumsum(rows, axis=0)])
    for i, length in enumerate(lengths):
        ends = np.arange(max(lengths), max(lengths) + STRETCH)
        n = np.maximum(rows_to[ends] - rows_to[ends - length], 1e-6)
        apart = (up_to[ends] - up_to[ends - length]) / n - error
        apart *= np.sqrt(n * np.float32(units * slots) / (n + np.float32(units * slots)))
        far = np.maximum.reduceat(np.abs(apart), world.starts, axis=1)
        yield ((far + world.corrections) ** 2 / inflations[:, i]).max(axis=1)


def _mixed(odd: Singles, count: int, random: np.random.Generator) -> Singles:
    """Units made of MIXED of those that were seen, each with a sign, shape (count, ...)."""
    found = np.zeros((count, *odd.shape[1:]), dtype=np.float32)
    signs = random.choice(np.array([-1, 1], np.float32), (MIXED, count)) / np.float32(MIXED**0.5)
    for some in signs:
        found += odd[random.integers(0, len(odd), count)] * some[:, None, None]
    return found


def _law(series: Sequence[Floats], gap: int, stands_for: float) -> Law:
    """The law of the rate at which episodes begin, from the largest statistics of stretches.

    The logarithm of their number falls evenly in the squared statistic, as that of
    Kolmogorov's law does.
    """
    x = np.concatenate([some[gap:] for some in series])
    before = np.concatenate([_largest_before(some, gap) for some in series])
    highest, risen = np.sort(x), np.sort(np.minimum(x, before))

    def episodes(t: Floats) -> Floats:
        return (len(x) - np.searchsorted(highest, t, "right")).astype(float) - (
            len(x) - np.searchsorted(risen, t, "right")
        )

    tops = np.sort(np.where(x > before, x, 0))[::-1]
    levels = np.linspace(tops[min(MOST, len(tops) // 8)], tops[LEAST], STEPS)
    number = np.maximum(episodes(levels), 1.0)
    slope, intercept = np.polyfit(levels, np.log(number), 1, w=np.sqrt(number))
    slope = min(float(slope), -1e-3)
    return Law(gap, float(intercept) + float(np.log(stands_for / len(x))), -slope)


def _largest_before(x: Floats, gap: int) -> Floats:
    """Largest of the `gap` values before each, shape (len(x) - gap,)."""
    windows = np.lib.stride_tricks.sliding_window_view(x[:-1], gap)
    found: Floats = windows.max(axis=1)
    return found
