"""Hours: which hour of the day or week a pane is in, and what a reference had in each of them.

Hours are UTC; those of a week begin on Monday at 00:00.
"""

import dataclasses
from typing import Any, Self

import msgspec
import numpy as np

from stream.columns import Ints
from stream.settings import HOUR_S, Seasonality

SEASONS: dict[Seasonality, int] = {"none": 0, "hour-of-day": 24, "hour-of-week": 168}
THURSDAY = 72  # hours from Monday to the day that 1970 began with
MOST_CELLS = 1_024
LARGEST = 2**53


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    ends: list[list[int]]
    counts: list[list[int]]


def hours_of(times_ms: Ints, season: Seasonality) -> Ints:
    """The hour of each time, from 0 on, shape (n,)."""
    found: Ints = (times_ms // (HOUR_S * 1000) + THURSDAY) % SEASONS[season]
    return found


def hour_of(time_ms: int, season: Seasonality) -> int:
    """The hour of one time."""
    return int(hours_of(np.array([time_ms]), season)[0])


def share_of_hours(season: Seasonality, window_s: int) -> float:
    """Of a reference's rows, those that a window of some length is compared with."""
    hours = SEASONS[season]
    return min(1.0, max(1.0, window_s / HOUR_S) / hours) if hours else 1.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """One feature's rows by hour and cell.

    ends, shape (hours, cells - 1): the last code of each cell but the last, not falling; -1 where
    no code is so low. counts, shape (hours, cells + tail): rows of each cell, then of the codes
    that are no values (missing ones and the like), one by one.
    """

    ends: Ints
    counts: Ints

    @property
    def season(self) -> Seasonality:
        """Hours of what."""
        return "hour-of-day" if len(self.ends) == SEASONS["hour-of-day"] else "hour-of-week"

    @property
    def cells(self) -> int:
        """How many cells the values are in."""
        return int(self.ends.shape[1]) + 1

    @property
    def rows(self) -> Ints:
        """Rows of each hour, shape (hours,)."""
        found: Ints = self.counts.sum(axis=1)
        return found

    @property
    def values(self) -> Ints:
        """The same without those that have no value."""
        found: Ints = self.counts[:, : self.cells].sum(axis=1)
        return found

    def tabulate(self, hour: int, counts: Ints) -> Ints:
        """Rows of each cell of an hour. counts: by code, shape (codes,), values alone."""
        up_to = np.concatenate([[0], np.cumsum(counts)])
        found: Ints = np.diff(up_to[self.ends[hour] + 1], prepend=0, append=up_to[-1])
        return found

    def widths(self, hour: int, codes: int) -> Ints:
        """Codes of each cell of an hour, of so many in all."""
        found: Ints = np.diff(self.ends[hour], prepend=-1, append=codes - 1)
        return found

    def document(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"ends": self.ends.tolist(), "counts": self.counts.tolist()}

    @classmethod
    def from_document(cls, document: object, codes: int, width: int) -> Self:
        """codes: that are values, of a feature's `width`. Raises ValueError, saying what is wrong.

        Its words begin with what "the feature" does.
        """
        try:
            d = msgspec.convert(document, _Document)
            ends, counts = (np.array(some, dtype=np.int64) for some in (d.ends, d.counts))
        except (msgspec.ValidationError, OverflowError, ValueError) as error:
            raise ValueError(f"has hours that are no tables of numbers: {error}") from None
        for ok, wrong in _rules(ends, counts, codes, width):
            if not ok:
                raise ValueError(f"has hours {wrong}")
        return cls(ends, counts)


def _rules(ends: Ints, counts: Ints, codes: int, width: int) -> list[tuple[bool, str]]:
    shaped = ends.ndim == counts.ndim == 2 and len(ends) == len(counts)
    if not shaped or len(ends) not in SEASONS.values() or ends.shape[1] >= MOST_CELLS:
        return [(False, f"of another form than 24 or 168 rows of at most {MOST_CELLS} cells")]
    cells = ends.shape[1] + 1
    return [
        (counts.shape[1] == cells + width - codes, f"whose counts are not {cells} cells and more"),
        (bool((counts >= 0).all()) and int(counts.max(initial=0)) < LARGEST, "with a wrong count"),
        (bool(((ends >= -1) & (ends < codes)).all()), "with a cell that ends at no code"),
        (bool((np.diff(ends, axis=1) >= 0).all()), "with cells that fall"),
    ]
