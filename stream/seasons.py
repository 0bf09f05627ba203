"""Seasons: a window compared with what the reference had at the same hours.

Numbers: each live value becomes its rank among the reference's values of its own hour (the
probability-integral transform, by mid-ranks in equal cells), and the ranks of all hours of a window
are tested together. Where nothing changed these have one law, whatever the hours of the window and
however differently the hours are spread; and a change is measured against the spread of its own
hour. Ties make cells unequal, so what is expected of each is counted, not assumed.

Categories, and what is said in a feature's own units: the reference's hours, weighted by the
window's rows of each (post-stratification). So many rows are then worth as much as
n**2 / sum(n_hour**2 / m_hour), n rows of the window and m of the reference (Kish 1965).

Source: Rosenblatt (1952) of the transform, Parzen (2004) of mid-ranks.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from stream import slots
from stream.columns import Column, Floats, Ints
from stream.features import FeatureReference, Role
from stream.hours import SEASONS, Hours, hour_of
from stream.references import Reference
from stream.settings import ModelSettings, Seasonality
from stream.shares import Share

REPAIR = "register a reference anew from rows with times: `driftline reference --time COLUMN`"


def unfit(reference: Reference, season: Seasonality) -> str:
    """Why a reference cannot be compared by hour, in words that name the repair; "" if it can."""
    if season in ("none", reference.season):
        return ""
    has = "no hours" if reference.season == "none" else f"the {reference.season}"
    return f"seasonality = {season}: the reference has {has}; {REPAIR}"


def tabulated(f: FeatureReference, column: Column, hours: Ints, count: int, cells: int) -> Hours:
    """A feature's rows by hour. hours: shape (rows,), of each row, -1 where it has none.

    cells: of a number, of equal shares at each hour; of categories the most frequent names.
    """
    table = slots.tabulated(f, column, hours, count, f.width, lambda codes, _: codes)
    if f.kind == "category":
        own = np.arange(min(cells, max(1, f.cells)) - 1)
        ends = np.tile(own, (count, 1))
    else:
        ends = np.array([_ends(row, cells) for row in table[:, : f.cells]])
    found = Hours(ends, np.zeros((count, 0), dtype=np.int64))
    values = [found.tabulate(i, row) for i, row in enumerate(table[:, : f.cells])]
    return Hours(ends, np.concatenate([np.array(values), table[:, f.cells :]], axis=1))


def _ends(row: Ints, cells: int) -> Ints:
    """The last code of each cell but the last: a code is where its mid-rank is."""
    middle = (np.cumsum(row) - row / 2) / max(1, int(row.sum()))
    at = np.minimum((middle * cells).astype(np.int64), cells - 1)
    return np.searchsorted(at, np.arange(cells - 1), side="right") - 1


@dataclasses.dataclass(slots=True)
class Seasonal:
    """A window's rows by hour. left_out: rows of hours that the reference has not.

    rows: shape (hours,). values: by role and name, rows of each hour that have a value of it.
    ranked: by role and name, rows of each cell.
    """

    season: Seasonality
    rows: Ints
    values: dict[tuple[Role, str], Ints] = dataclasses.field(default_factory=dict)
    ranked: dict[tuple[Role, str], Ints] = dataclasses.field(default_factory=dict)
    left_out: int = 0
    words: str = " at the same hours"

    @classmethod
    def of(cls, settings: ModelSettings) -> "Seasonal":
        """Of no rows."""
        season = settings.seasonality
        return cls(season, np.zeros(SEASONS[season], dtype=np.int64))

    def add(self, hour: int, share: Share, settings: ModelSettings) -> bool:
        """Take in all rows of one hour; False where the reference has none of it."""
        known = list(share.reference.watched(settings.ignore))
        if not any(f.hours is not None and f.hours.rows[hour] for _, f in known):
            self.left_out += share.rows
            return False
        self.rows[hour] += share.rows
        for role, f in known:
            if f.hours is not None and f.hours.values[hour]:
                self._rank(hour, role, f, share.counts(f.name, role)[: f.cells])
        return True

    def _rank(self, hour: int, role: Role, f: FeatureReference, counts: Ints) -> None:
        assert f.hours is not None
        cells = f.hours.tabulate(hour, counts)
        key = role, f.name
        self.ranked[key] = self.ranked.get(key, np.zeros_like(cells)) + cells
        values = self.values.setdefault(key, np.zeros_like(self.rows))
        values[hour] += int(cells.sum())

    def notes(self) -> list[str]:
        """What an evaluation says of it."""
        if not self.left_out:
            return []
        return [f"{self.left_out:,} rows are left out: the reference has none of their hours"]

    def usual(self, f: FeatureReference, _role: Role = "input") -> FeatureReference:
        """The reference of the window's hours: as many rows as it is worth."""
        if f.hours is None or not (self.rows * f.hours.rows).any():
            return f
        total = np.zeros(f.width)
        for hour, weight in _weights(self.rows, f.hours.rows):
            total += weight * spread(f, f.hours, hour)
        return dataclasses.replace(f, counts=_whole(total))

    def ranks(self, f: FeatureReference, role: Role) -> tuple[Ints, Ints] | None:
        """Rows of each cell, expected and found; None where there are none."""
        values = self.values.get((role, f.name))
        if values is None or f.hours is None or f.kind != "number":
            return None
        total = np.zeros(f.hours.cells)
        for hour, weight in _weights(values, f.hours.values):
            total += weight * f.hours.counts[hour, : f.hours.cells]
        return _whole(total), self.ranked[role, f.name]


def _weights(rows: Ints, known: Ints) -> Iterable[tuple[int, float]]:
    """What each row of an hour of the reference counts, for the hours of a window."""
    used = np.flatnonzero((rows > 0) & (known > 0)).tolist()
    n = sum(int(rows[hour]) for hour in used)
    worth = n * n / max(1e-9, sum(int(rows[hour]) ** 2 / int(known[hour]) for hour in used))
    return [(hour, int(rows[hour]) / max(1, n) * worth / int(known[hour])) for hour in used]


def spread(f: FeatureReference, hours: Hours, hour: int) -> Floats:
    """Rows of an hour by code: those of a cell as they are spread in the whole reference."""
    cells, whole = hours.counts[hour, : hours.cells], f.counts[: f.cells]
    share = cells / np.maximum(hours.tabulate(hour, whole), 1)
    values = np.repeat(share, hours.widths(hour, f.cells)) * whole
    found: Floats = np.concatenate([values, hours.counts[hour, hours.cells :]])
    return found


def _whole(counts: Floats) -> Ints:
    """Whole numbers whose sums up to any place are right to half a row."""
    up_to = np.concatenate([[0], np.rint(np.cumsum(counts)).astype(np.int64)])
    found: Ints = up_to[1:] - up_to[:-1]
    return found


def panes_by_hour(panes: Iterable[int], season: Seasonality) -> Mapping[int, set[int]]:
    """Panes by their hour, in order."""
    found: dict[int, set[int]] = {}
    for pane in panes:
        found.setdefault(hour_of(pane, season), set()).add(pane)
    return dict(sorted(found.items()))
