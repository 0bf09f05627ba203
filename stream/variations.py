"""Variations: how a reference's panes and days differ from it, and what of that is independent."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from stream.columns import Floats, Ints
from stream.settings import DAY_S
from stream.slots import Counts

Singles = npt.NDArray[np.float32]
LEAST_DAYS = 7
SMALLEST = 0.25  # inflation: panes that agree too well are made, and live ones need not be
# chance at which days are said to be more even, or less, than their panes, though they are not: to
# say so wrongly costs false alarms where they are more even, and power where they are less
TOO_EVEN, TOO_ODD = 0.001, 0.05
# a unit's cells tell as much of its variance as so many units by one figure: of independent rows
DIRECTIONS = 0.29


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class World:
    """What made-up panes are made of. A unit is a pane, or a day of so many slots.

    odd: shape (units, slots, columns), deviations from what is usual, in rows, over the square
    root of a pane's rows. usual: shape (slots, columns), the same of slots from the whole. rows:
    shape (slots, columns), of a slot over the mean. variance: shape (columns,), of one row.
    starts: shape (features,), where a feature's columns begin. corrections: shape (features,).
    loose: whether the slots of a day know nothing of each other, but for what is usual.
    """

    odd: Singles
    usual: Singles
    rows: Singles
    variance: Singles
    starts: Ints
    corrections: Floats
    loose: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Units, slots and columns."""
        units, slots, columns = self.odd.shape
        return units, slots, columns


def whole_days(used: Ints, pane_s: int, first: int) -> Ints:
    """The panes of whole days, shape (days, slots): those with most of their panes in use.

    used: the panes that have rows, counted from the first, whose number since 1970 is given.
    """
    slots = DAY_S // pane_s
    if DAY_S % pane_s or slots < 2:
        return np.zeros((0, 1), dtype=np.int64)
    day = (first + used) // slots
    numbers, panes = np.unique(day, return_counts=True)
    whole = numbers[(panes >= 0.8 * panes.max())]
    at = whole[:, None] * slots - first + np.arange(slots)
    inside: Ints = at[(at[:, 0] >= 0) & (at[:, -1] <= int(used[-1]))]
    return inside


def order_of(found: Sequence[Counts], days: Ints) -> Literal["panes", "hours", "days"]:
    """What is as good as independent.

    "panes": all of them, for days vary as much as their panes let one expect, in every feature.
    "hours": panes, once what is usual at their hour of the day is taken out. "days": only these.
    """
    if len(days) < LEAST_DAYS:
        return "panes"
    panes = days.reshape(-1, 1)
    if _even(found, days, lambda one: inflations_of(world_of([one], panes), [1])):
        return "panes"
    slots = [days.shape[1]]
    if _even(found, days, lambda one: inflations_of(world_of([one], days, loose=True), slots)):
        return "hours"
    return "days"


def _even(found: Sequence[Counts], days: Ints, expected: Callable[[Counts], Floats]) -> bool:
    """Whether days vary as much as expected, in every feature."""
    for one in found:
        freedom = (len(days) - 1) / (DIRECTIONS if len(one.whole) > 1 else 1.0)
        low, high = stats.chi2.ppf([TOO_EVEN / len(found), 1 - TOO_ODD / len(found)], freedom)
        there = inflations_of(world_of([one], days), [days.shape[1]])
        if not low <= float((there / expected(one))[0, 0]) * freedom <= high:
            return False
    return True


def world_of(found: Sequence[Counts], units: Ints, loose: bool = False) -> World:
    """units: shape (units, slots), panes of the reference."""
    parts = [_deviations(one, units) for one in found]
    odd = np.concatenate([part[0] for part in parts], axis=2)
    columns = [len(one.whole) for one in found]
    variance = np.concatenate([np.maximum(c.whole * (1 - c.whole), 1e-9) for c in found])
    return World(
        odd,
        np.concatenate([part[1] for part in parts], axis=1),
        np.concatenate([part[2] for part in parts], axis=1),
        variance.astype(np.float32),
        np.cumsum([0, *columns[:-1]]),
        np.array([one.correction for one in found]),
        loose,
    )


def _deviations(one: Counts, units: Ints) -> tuple[Singles, Singles, Singles]:
    """What is odd, what is usual and the rows of a slot: see `World`."""
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


def inflations_of(world: World, lengths: Sequence[int]) -> Floats:
    """Variance of the distribution in windows over that of as many independent rows.

    Shape (features, lengths): the mean over cells and over places in the day.
    """
    found = np.zeros((len(world.starts), len(lengths)))
    for i, length in enumerate(lengths):
        ratio = _variances(world, length) / world.variance
        for j, some in enumerate(_columns(world)):
            found[j, i] = max(float(ratio[some].mean()), SMALLEST)
    return found


def likeness_of(world: World, lengths: Sequence[int]) -> Floats:
    """What inflations lack where panes that follow each other resemble each other a little.

    Shape (features, lengths), at least 0. Rows that resemble their neighbours do so across the end
    of a pane too: too little for days to show it, and it counts once for each end in a window.
    Nothing for whole days, whose ends are few.
    """
    found = np.zeros((len(world.starts), len(lengths)))
    units, slots, _ = world.shape
    if slots == 1:
        before, after = world.odd[:-1], world.odd[1:]
    elif world.loose:
        before, after = world.odd[:, :-1], world.odd[:, 1:]
    else:
        return found
    together = np.einsum("usc,usc->c", before, after, dtype=float) / (units * slots)
    for j, some in enumerate(_columns(world)):
        alike = float((together[some] / world.variance[some]).mean())
        found[j] = 2 * max(0.0, alike) * (1 - 1 / np.array(lengths))
    return found


def directions_of(world: World) -> float:
    """How much of a unit's variance its columns tell alike: 1 all of it, DIRECTIONS at least.

    A feature's columns tell as much of it as one over this of independent ones, by the eigenvalues
    of their covariance; the mean over features.
    """
    odd = world.odd.reshape(-1, world.odd.shape[2]) if world.loose else world.odd.sum(axis=1)
    scaled = odd / np.sqrt(world.variance)
    found = []
    for some in _columns(world):
        covariance = scaled[:, some].T @ scaled[:, some]
        total = float(np.trace(covariance)) ** 2
        share = float((covariance**2).sum()) / total - 1 / len(odd) if total > 0 else 1.0
        found.append(min(max(share, DIRECTIONS), 1.0))
    return float(np.mean(found))


def _columns(world: World) -> list[slice]:
    """Where each feature's columns are."""
    ends = [*world.starts[1:].tolist(), world.shape[2]]
    return [slice(a, b) for a, b in zip(world.starts.tolist(), ends, strict=True)]


def _variances(world: World, length: int) -> Floats:
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
                variance += times * _variance(world, a, b)
                usual += times * world.usual[a:b].sum(axis=0)
                rows += times * world.rows[a:b].sum(axis=0)
        total += np.where(rows > 0, (variance + usual**2) / np.maximum(rows, 1e-9), 0.0)
        places += rows > 0
    return total / np.maximum(places, 1.0)


def _variance(world: World, start: int, end: int) -> Floats:
    """Of what is odd in some slots of one day, shape (columns,)."""
    if world.loose:
        found: Floats = (world.odd[:, start:end] ** 2).mean(axis=0).sum(axis=0)
    else:
        found = (world.odd[:, start:end].sum(axis=1) ** 2).mean(axis=0)
    return found
