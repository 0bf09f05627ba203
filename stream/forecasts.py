"""Forecasts: what those before it let expect of the newest of a series.

A line through all pairs of neighbours forecasts it from the one before, at a height of its own for
each kind (a weekday); its distance from that has Student's law, as predictions of least squares
have. So a series that wanders is compared with where it was, one that only varies with its mean,
one with a rhythm with the same time of it; and from few of them little follows.
"""

import dataclasses

import numpy as np

from stream.columns import Floats, Ints


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """Of the newest: its value and, where nothing changed, what its distance varies by.

    spread: the variance of what the line misses. leverage: of the forecast itself, in spreads.
    free: degrees of freedom. fitted, missed: by the line, of all but the first, shape (k - 1,).
    """

    value: float
    spread: float
    leverage: float
    free: int
    fitted: Floats
    missed: Floats

    @property
    def widest(self) -> float:
        """The largest distance of those before."""
        return float(np.abs(self.missed).max())


def forecast(series: Floats, kinds: Ints, kind: int) -> Forecast:
    """From those before, oldest first, and their kinds, shape (k,) each; kind: of the newest.

    There must be three more of them than kinds, and one of its kind beside the first.

    >>> found = forecast(np.array([0.0, 1.0, 0.0, 2.0, 0.0, 1.0, 0.0]), np.zeros(7, np.int64), 0)
    >>> round(found.value, 3), round(found.spread, 3), round(found.leverage, 3), found.free
    (1.2, 0.3, 0.3, 4)
    """
    of = np.unique(kinds[1:])
    assert kind in of
    heights = (kinds[1:, None] == of).astype(np.float64)
    design = np.column_stack([heights, series[:-1]])
    inverse = np.linalg.pinv(design)
    line = inverse @ series[1:]
    fitted = design @ line
    missed, free = series[1:] - fitted, len(design) - design.shape[1]
    assert free > 0
    newest = np.append(of == kind, series[-1])
    leverage = float(((newest @ inverse) ** 2).sum())
    spread = float((missed**2).sum()) / free
    return Forecast(float(newest @ line), spread, leverage, free, fitted, missed)
