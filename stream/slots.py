"""Slots: a reference's rows by pane, and of each feature how many fell into a few cells.

What is counted here is gone once the reference is calibrated; only what follows from it is kept.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from stream.columns import Codes, Column, Floats, Ints
from stream.effects import key
from stream.features import FeatureReference
from stream.hours import hours_of
from stream.settings import DAY_S

CELLS, FEW_CELLS = 64, 32
MANY_FEATURES = 25  # from so many on fewer cells each
MAX_PANES = 2_400  # 100 days of hours; of a longer reference the last ones
BLOCK_ROWS = 1 << 16
BROADER = 0.5826  # what the largest of a random walk's steps lacks of the largest of the whole path


@dataclasses.dataclass(frozen=True, slots=True)
class Panes:
    """Which pane each row belongs to. number: shape (rows,), -1 where it has no time.

    first: the number since 1970 of pane 0. count: panes from the first to the last, empty ones too.
    a_day: how many make up a day; 1 where none do.
    """

    number: Ints
    first: int
    count: int
    a_day: int


def panes_of(times_ms: Ints, pane_s: int, none_ms: int) -> Panes:
    """The panes of rows. none_ms: what stands for no time."""
    known = times_ms != none_ms
    numbers = times_ms // (pane_s * 1000)
    a_day = DAY_S // pane_s if DAY_S % pane_s == 0 else 1
    if not known.any():
        return Panes(np.full(len(times_ms), -1), 0, 0, a_day)
    last = int(numbers[known].max())
    first = max(int(numbers[known].min()), last - MAX_PANES + 1)
    inside = known & (numbers >= first)
    return Panes(np.where(inside, numbers - first, -1), first, last - first + 1, a_day)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """One feature's rows by pane and cell.

    counts: shape (panes, cells), int64, rows up to the end of each cell but the last; of a
    category in each cell but the last; of what is averaged, its sums. rows: shape (panes,). whole:
    shape (cells - 1,), share of the reference up to each end. correction: what the largest distance
    over the ends lacks of that over all values, of rows in their square root.
    """

    name: str
    role: str
    counts: Ints | Floats
    rows: Ints
    whole: Floats
    correction: float


def cell_ends(f: FeatureReference, cells: int) -> Ints:
    """The last codes of cells of about equal shares, the last one left out; rising.

    A value that holds more than a cell's share is a cell of its own.
    """
    up_to = np.cumsum(f.counts[: f.cells])
    if f.exact and len(f.edges) <= cells:
        return np.arange(1, f.cells - 2, 2)
    share = up_to[-1] / cells
    ends = np.searchsorted(up_to, share * np.arange(1, cells))
    heavy = ends[f.counts[ends] > share]
    found = np.unique(np.concatenate([ends, heavy - 1]))
    return found[(found >= 0) & (found < f.cells - 1)]


def counted(
    f: FeatureReference, role: str, column: Column, panes: Panes, cells: int
) -> Counts | None:
    """One column's rows by pane and cell; None where its values do not differ."""
    ends = cell_ends(f, cells)
    if len(ends) == 0:
        return None

    def cell_of(codes: Codes, _: Ints) -> Ints:
        return np.where(codes < f.cells, np.searchsorted(ends, codes), -1)

    found = tabulated(f, column, panes.number, panes.count, len(ends) + 1, cell_of)
    up_to = np.cumsum(found, axis=1)
    rows_of_panes = up_to[:, -1]
    whole = up_to[:, :-1].sum(axis=0) / max(1, int(rows_of_panes.sum()))
    return Counts(
        f.name, role, up_to[:, :-1], rows_of_panes, whole, _correction(f, found, panes.a_day)
    )


def sorted_out(f: FeatureReference, role: str, column: Column, panes: Panes) -> Counts | None:
    """One column's rows by pane and category; None where all are of one.

    The most frequent have cells of their own, all others are the last one.
    """
    own = min(f.cells, CELLS) - 1
    if own < 1:
        return None

    def cell_of(codes: Codes, _: Ints) -> Ints:
        return np.where(codes != f.missing_at, np.minimum(codes, own), -1)

    found = tabulated(f, column, panes.number, panes.count, own + 1, cell_of)
    rows_of_panes = found.sum(axis=1)
    whole = found[:, :-1].sum(axis=0) / max(1, int(rows_of_panes.sum()))
    return Counts(f.name, role, found[:, :-1], rows_of_panes, whole, 0.0)


def counted_by_hour(
    f: FeatureReference, role: str, column: Column, panes: Panes, pane_s: int
) -> Counts | None:
    """One column's rows by pane and cell of its hour (`stream.hours`), as if all hours were alike.

    What is usual at an hour is taken out: the rest is spread about the whole. It is larger by what
    the hour's own mean took with it.
    """
    assert f.hours is not None
    cells, ends = f.hours.cells, f.hours.ends
    if cells < 2 or int((f.hours.counts[:, :cells].sum(axis=0) > 0).sum()) < 2:
        return None
    starts_ms = (np.arange(panes.count) + panes.first) * pane_s * 1000
    hours = hours_of(starts_ms, f.hours.season)
    keys = (ends + np.arange(len(ends))[:, None] * f.width).ravel()

    def cell_of(codes: Codes, number: Ints) -> Ints:
        hour = hours[number]
        place = np.searchsorted(keys, codes + hour * f.width) - hour * (cells - 1)
        return np.where(codes < f.cells, place, -1)

    found = tabulated(f, column, panes.number, panes.count, cells, cell_of)
    rows = found.sum(axis=1)
    counts = (found if f.kind == "category" else np.cumsum(found, axis=1))[:, :-1]
    whole = counts.sum(axis=0) / max(1, int(rows.sum()))
    return Counts(f.name, role, _alike(counts, rows, whole, hours), rows, whole, 0.0)


def _alike(counts: Ints, rows: Ints, whole: Floats, hours: Ints) -> Floats:
    found = rows[:, None] * whole
    for hour in np.unique(hours[rows > 0]).tolist():
        at = np.flatnonzero((hours == hour) & (rows > 0))
        own = counts[at].sum(axis=0) / rows[at].sum()
        larger = np.sqrt(len(at) / max(1, len(at) - 1))
        found[at] += (counts[at] - rows[at, None] * own) * larger
    return found


def holes(f: FeatureReference, role: str, column: Column, panes: Panes) -> Counts | None:
    """One column's rows without a value that can be used, by pane; None where all have one."""
    unusable = [f.missing_at, f.missing_at + 1] if f.kind == "number" else [f.missing_at]
    if not f.counts[unusable].any():
        return None

    def cell_of(codes: Codes, _number: Ints) -> Ints:
        return np.where(np.isin(codes, unusable), 0, 1)

    found = tabulated(f, column, panes.number, panes.count, 2, cell_of)
    rows = found.sum(axis=1)
    whole = found[:, :1].sum(axis=0) / max(1, int(rows.sum()))
    return Counts(key(f.name, role), "missing", found[:, :1], rows, whole, 0.0)


def averaged(name: str, values: Floats, panes: Panes) -> Counts | None:
    """Sums of one figure by pane; None where it does not vary.

    It is moved to where its mean is a half and its variance a quarter: that of a share.
    """
    known = np.isfinite(values) & (panes.number >= 0)
    number, some = panes.number[known], values[known]
    spread = float(some.std()) if len(some) else 0.0
    if not (spread > 0 and np.isfinite(spread)):
        return None
    sums = np.bincount(number, (some - some.mean()) / (2 * spread) + 0.5, panes.count)
    rows = np.bincount(number, minlength=panes.count)
    return Counts(name, "quality", sums[:, None], rows, np.array([0.5]), 0.0)


def tabulated(
    f: FeatureReference,
    column: Column,
    number: Ints,
    count: int,
    cells: int,
    cell_of: Callable[[Codes, Ints], Codes | Ints],
) -> Ints:
    """Rows of each pane and cell, shape (count, cells).

    number: shape (rows,), of each row's pane, -1 where it has none. cell_of: the cell of codes and
    numbers of panes, -1 for values that have none.
    """
    found = np.zeros((count, cells), dtype=np.int64)
    for at in range(0, len(column), BLOCK_ROWS):
        rows = slice(at, at + BLOCK_ROWS)
        own = number[rows]
        cell = cell_of(f.codes(column.take(rows)), own)
        used = (cell >= 0) & (own >= 0)
        places = own[used] * cells + cell[used]
        found += np.bincount(places, minlength=found.size).reshape(found.shape)
    return found


def _correction(f: FeatureReference, cells: Ints, a_day: int) -> float:
    """After Chernoff (1965): the mean overshoot of a random walk, by the width of its steps.

    Steps are as rough as the panes show: neighbouring rows that resemble each other make the
    whole distribution move, and hardly its details.
    """
    if f.exact and len(f.edges) <= cells.shape[1]:
        return 0.0
    rows = cells.sum(axis=1, keepdims=True)
    share = cells.sum(axis=0) / max(1, int(rows.sum()))
    odd = (cells - rows * share) / np.sqrt(np.maximum(rows, 1))
    apart = a_day if len(odd) > 2 * a_day else 1  # the same hour of the next day, if it can be
    both = ((rows[apart:] > 0) & (rows[:-apart] > 0))[:, 0]
    wide = share <= 2 / cells.shape[1]  # a value of its own has no details
    steps = (odd[apart:] - odd[:-apart])[both][:, wide]
    rough = float((steps**2).mean()) / 2 if steps.size else 0.0
    distinct = len(f.edges) if not f.exact or f.rows > 4 * len(f.edges) else np.inf
    return float(BROADER * np.sqrt(rough) * (1 - np.sqrt(cells.shape[1] / distinct)))
