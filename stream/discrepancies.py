"""Discrepancies: whether two samples of whole vectors come from one law, from counts of angles.

The maximum mean discrepancy (Gretton et al. 2012) with a kernel that is a sum over random Fourier
features (Rahimi and Recht 2007): the squared distance of two mean vectors, whose parts are the mean
cosines and sines of each direction's angles. What chance does follows from three moments of the
covariance of these parts: the distance is a weighted sum of squared normal variables, whose tail a
shifted chi-square law with the same mean, variance and skewness comes close to (Hall 1983; Buckley
and Eagleson 1988). Nothing is drawn at random, and no eigenvalues are needed.
"""

import dataclasses
import math

import numpy as np
from scipy import stats

from stream.columns import Floats, Ints

CELLS = 8  # of a turn
MOST_ROWS = 1_024  # that moments are estimated from
LEAST_ROWS = 8
FEWEST = 10  # windows of a reference
LEAST_DAYS = 7
NOTHING = 1e-6  # of the variance of a direction's wave, which is about 1
QUANTILES = 64  # of the estimate of the variance, over which the chance is averaged
_ANGLES = 2 * np.pi * (np.arange(CELLS) + 0.5) / CELLS
_WAVES = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Moments:
    """Traces of the covariance of one row's waves, of its square and its cube.

    known: how well, as the freedom of a chi-square variable that the first is as uncertain as.
    """

    first: float
    second: float
    third: float
    known: float

    @property
    def freedom(self) -> float:
        """As how many even and independent variables it is; at least 1."""
        return self.first**2 / self.second

    def sound(self) -> bool:
        """Whether a covariance can have these."""
        found = (self.first, self.second, self.third)
        finite = all(math.isfinite(x) and x > 0 for x in found) and 0 < self.known < math.inf
        return finite and self.second <= self.first**2 * (1 + 1e-9)

    def chance(self, distance: float) -> float:
        """How often a squared distance of mean 0, times its rows, exceeds one.

        What the variance is known to counts too: as with Student's law, it is averaged over.
        """
        middle = (np.arange(QUANTILES) + 0.5) / QUANTILES
        unsure = stats.chi2.ppf(middle, self.known) / self.known
        freedom = self._freedom
        apart = (distance * unsure - self.first) / math.sqrt(2 * self.second)
        return float(stats.chi2.sf(freedom + apart * math.sqrt(2 * freedom), freedom).mean())

    def critical(self, level: float) -> float:
        """The squared distance, times its rows, that is exceeded so often; were these certain."""
        freedom = self._freedom
        apart = (float(stats.chi2.isf(level, freedom)) - freedom) / math.sqrt(2 * freedom)
        return self.first + apart * math.sqrt(2 * self.second)

    @property
    def _freedom(self) -> float:
        """Of the chi-square law that is as skew."""
        return self.second**3 / self.third**2


def moments_of(rows: Floats, windows: bool = False) -> Moments | None:
    """Of rows about their mean, shape (rows, parts); None where they are too few, or do not vary.

    Products of different rows alone: what a row has in common with itself would count as if all
    were one (Chen and Qin 2010).
    windows: whether rows are what is judged, and not its summands. What is not normal then varies
    and leans as much as it was seen to, at least.
    """
    n = len(rows)
    if n < LEAST_ROWS:
        return None
    rows = rows - rows.mean(axis=0)
    first = float((rows**2).sum()) / (n - 1)
    if first < NOTHING:
        return None
    some = rows[np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(np.int64)]
    k = len(some)
    products = some @ some.T
    np.fill_diagonal(products, 0.0)
    second = float((products**2).sum()) / (k * (k - 1))
    third = float(((products @ products) * products).sum()) / (k * (k - 1) * (k - 2))
    if windows:
        apart = (rows**2).sum(axis=1) - first
        second = max(second, float((apart**2).sum()) / (n - 1) / 2)
        third = max(third, float((apart**3).mean()) / 8)
    second = min(max(second, first**2 / rows.shape[1]), first**2)
    third = min(max(third, second**2 / first), second**1.5)
    return Moments(first, second, third, first**2 / second * (n - 1))


def moments_of_windows(counts: Ints, panes: int, days: int, plain: Moments) -> Moments | None:
    """Of the reference's own windows of so many panes, about the whole of it, for one row.

    counts: shape (panes of the reference, directions * CELLS). days: that the reference is long.
    plain: of rows that know nothing of each other. Windows do not overlap; of a long window's
    length there are too few, so they are as of a tenth of the reference. What neighbouring windows
    have in common makes the estimate larger.
    """
    length = max(1, min(panes, len(counts) // FEWEST))
    whole = len(counts) // length
    windows = counts[len(counts) - whole * length :].reshape(whole, length, -1).sum(axis=1)
    windows = windows[windows.any(axis=1)]
    if len(windows) < LEAST_ROWS:
        return None
    rows = windows.reshape(len(windows), -1, CELLS)[:, 0].sum(axis=1)[:, None]
    total = windows.sum(axis=0)
    usual = waves(total) / max(1, int(rows.sum()))
    found = moments_of((waves(windows) - rows * usual) / np.sqrt(rows), windows=True)
    if found is None or days < LEAST_DAYS:
        return found
    return dataclasses.replace(found, known=_known(found, plain, days))


def _known(found: Moments, plain: Moments, days: int) -> float:
    """How well windows' variance is known, where what rows have in common may change by days.

    That part is known as well as one figure of so many days; the other as it was estimated.
    """
    shared = max(0.0, 1 - plain.first / found.first)
    return 1 / (shared**2 / (days - 1) + (1 - shared) ** 2 / found.known)


def waves(counts: Ints) -> Floats:
    """Sums of cosines and sines, shape (..., 2 * directions).

    counts: shape (..., directions * CELLS).
    """
    by_direction = counts.reshape(*counts.shape[:-1], -1, CELLS)
    found: Floats = (by_direction @ _WAVES).reshape(*counts.shape[:-1], -1)
    return found


def answer_of(known: Ints, breadth: float) -> float:
    """By how much a shift along one line by one deviation changes the mean waves, squared.

    known: counts, shape (directions * CELLS,). breadth: as how many independent numbers the vector
    is, over which such a shift is spread.
    """
    directions = len(known) // CELLS
    usual = waves(known) / max(1, int(known.sum()) // directions)
    return float((usual**2).sum()) / breadth


@dataclasses.dataclass(frozen=True, slots=True)
class Discrepancy:
    """statistic: the squared distance of the means, times the rows both samples are worth.

    shift: of how many deviations, along one line, a shift would do as much; by what chance makes
    one expect, less.
    """

    statistic: float
    shift: float


def discrepancy(known: Ints, live: Ints, expected: float, breadth: float) -> Discrepancy:
    """Of two vectors of counts, shape (directions * CELLS,), of at least a row each.

    expected: the statistic in the mean, where nothing changed. breadth: see `answer_of`.
    """
    directions = len(known) // CELLS
    m, n = int(known.sum()) // directions, int(live.sum()) // directions
    usual, found = waves(known) / m, waves(live) / n
    rows = n * m / (n + m)
    squared = float(((found - usual) ** 2).sum())
    answer = answer_of(known, breadth)
    beyond = max(0.0, squared - expected / rows)
    return Discrepancy(squared * rows, math.sqrt(beyond / answer) if answer > 0 else 0.0)
