"""Intervals: a value with its 95% interval, and tests of one value against another."""

import dataclasses
import math
from collections.abc import Sequence

from scipy import special, stats

from stream import sums

Z95 = 1.959963984540054
TAIL = 0.025  # beyond each of its ends


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A metric's value over n outcomes, with its 95% interval."""

    value: float
    n: int
    low: float
    high: float


@dataclasses.dataclass(frozen=True, slots=True)
class Inflation:
    """Values that resemble each other: a mean's variance is so many times that of independent ones.

    freedom: degrees of it with which that is known; a normal deviate over it is one of Student's.
    """

    times: float
    freedom: float = math.inf

    def p_value(self, p: float, *, two_sided: bool = False) -> float:
        """What a p-value of independent values means.

        >>> round(Inflation(4.0).p_value(0.05), 3)
        0.205
        """
        sides = 2 if two_sided else 1
        return sides * float(special.stdtr(self.freedom, special.ndtri(p / sides) / self._root))

    def level(self, level: float, *, two_sided: bool = False) -> float:
        """What a p-value of independent values must be, to mean as much as `level`."""
        sides = 2 if two_sided else 1
        return sides * float(
            special.ndtr(special.stdtrit(self.freedom, level / sides) * self._root)
        )

    def stretch(self, tail: float = TAIL) -> float:
        """How much further than by 95% of independent values an end of an interval must lie, for
        chance to be beyond it with probability `tail`.

        >>> round(Inflation(4.0).stretch(), 6), round(Inflation(1.0, 6).stretch(), 3)
        (2.0, 1.248)
        """
        return -float(special.stdtrit(self.freedom, tail)) * self._root / Z95

    @property
    def _root(self) -> float:
        return math.sqrt(self.times)


@dataclasses.dataclass(frozen=True, slots=True)
class Moments:
    """n values, their mean, and the variance of that mean."""

    n: int
    mean: float
    variance: float

    def figure(self) -> Figure | None:
        """The mean with its normal interval; None without values. A single value has no width."""
        if self.n <= 0:
            return None
        half = Z95 * math.sqrt(self.variance)
        return Figure(self.mean, self.n, self.mean - half, self.mean + half)


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the variance of its value."""

    figure: Figure
    variance: float

    @property
    def moments(self) -> Moments:
        """The same for a test."""
        return Moments(self.figure.n, self.figure.value, self.variance)


def moments(n: int, total: int, squares: int, worth: float = 1.0) -> Moments:
    """From exact sums: nothing cancels, whatever the size of the mean.

    worth: how many values each of n stands for (`stream.weights`); so many n are then told.
    """
    if n <= 0:
        return Moments(0, 0.0, 0.0)
    spread = n * (squares << sums.UNIT_BITS) - total * total
    mean = sums.to_float(total, n)
    if worth == 1.0:
        scale = n * n * max(n - 1, 1) << 2 * sums.UNIT_BITS
        return Moments(n, mean, max(spread, 0) / scale)
    size, scale = n * worth, n * n << 2 * sums.UNIT_BITS
    return Moments(max(round(size), 1), mean, max(spread, 0) / scale / max(size - 1, 1))


def share(hits: int, n: int, worth: float = 1.0) -> Figure | None:
    """A proportion with Wilson's interval; None without values, or with more taken back than in."""
    if n <= 0 or not 0 <= hits <= n:
        return None
    return wilson(hits / n, n * worth).figure


def wilson(p: float, size: float, z: float = Z95) -> Estimate:
    """A share of so many, whole or not, with Wilson's interval of so many deviations."""
    z2 = z * z
    middle = (p + z2 / (2 * size)) / (1 + z2 / size)
    half = z * math.sqrt(p * (1 - p) / size + z2 / (4 * size * size)) / (1 + z2 / size)
    low, high = max(min(middle - half, p), 0.0), min(max(middle + half, p), 1.0)
    figure = Figure(p, max(round(size), 1), low, high)
    return Estimate(figure, p * (1 - p) / size)


def logit(p: float, n: int, variance: float, size: float) -> Estimate:
    """A share with an interval that is normal on the scale of log odds.

    size: of how many it is taken for the mean where nothing varies: then it is Wilson's.
    """
    if not (0.0 < p < 1.0 and variance > 0.0):
        found = wilson(p, size)
        return Estimate(dataclasses.replace(found.figure, n=n), found.variance)
    half, odds = Z95 * math.sqrt(variance) / (p * (1 - p)), special.logit(p)
    low, high = (float(special.expit(odds + side * half)) for side in (-1, 1))
    return Estimate(Figure(p, n, min(low, p), max(high, p)), variance)


def mixed(parts: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """A sum of independent estimates times weights, by the method of variance estimates recovery.

    Zou and Donner (2008): each side's distance is the root of the sum of the parts' squares.
    """
    pairs = [(weight, part.figure) for weight, part in zip(weights, parts, strict=True)]
    value = sum(w * f.value for w, f in pairs)
    below = math.sqrt(sum((w * (f.value - f.low)) ** 2 for w, f in pairs))
    above = math.sqrt(sum((w * (f.high - f.value)) ** 2 for w, f in pairs))
    variance = sum(w * w * part.variance for w, part in zip(weights, parts, strict=True))
    n = sum(f.n for _, f in pairs)
    return Estimate(Figure(value, n, value - below, value + above), variance)


def alike(parts: Sequence[Estimate], narrower: float = 1.0) -> Estimate:
    """The mean of estimates that may depend on each other in any way.

    Each side's distance is the mean of the parts', which is what it is where all of them are off
    together, and no less than it is otherwise. narrower: how much of it is known to be enough.
    """
    k, figures = len(parts), [part.figure for part in parts]
    value = sum(f.value for f in figures) / k
    below = narrower * sum(f.value - f.low for f in figures) / k
    above = narrower * sum(f.high - f.value for f in figures) / k
    spread = narrower * sum(math.sqrt(part.variance) for part in parts) / k
    figure = Figure(value, max(f.n for f in figures), value - below, value + above)
    return Estimate(figure, spread * spread)


def paired(both: float, new: float, old: float, neither: float, n: int) -> Figure:
    """How much more often the new one is right than the old one, on the same rows.

    The rows that both, only one of them, or neither got right; where rows have weights, so many as
    tell as much. n: rows to tell. Interval: method 10 of Newcombe (1998), Wilson's of each share,
    with how the two go together.
    """
    size = both + new + old + neither
    first, second = (
        wilson((both + new) / size, size).figure,
        wilson((both + old) / size, size).figure,
    )
    margins = (both + new) * (old + neither) * (both + old) * (new + neither)
    gap = both * neither - new * old
    gap = max(gap - size / 2, 0.0) if gap > 0 else gap
    alike = gap / math.sqrt(margins) if margins > 0 else 0.0
    value = (new - old) / size
    below = _together(first.value - first.low, second.high - second.value, alike)
    above = _together(first.high - first.value, second.value - second.low, alike)
    return Figure(value, n, max(value - below, -1.0), min(value + above, 1.0))


def _together(a: float, b: float, alike: float) -> float:
    return math.sqrt(max(a * a - 2 * alike * a * b + b * b, 0.0))


def p_of_sides(new: float, old: float) -> float:
    """Of so uneven a split of rows that only one of two got right: McNemar's test, two-sided.

    Exact, binomial; of numbers that are not whole, by the beta distribution that continues it.

    >>> round(p_of_sides(12, 2), 4)
    0.0129
    """
    few, n = min(new, old), new + old
    if n <= 0 or few >= n / 2:
        return 1.0
    return min(2 * float(special.betainc(n - few, few + 1, 0.5)), 1.0)


def stretched(found: Figure, times: float) -> Figure:
    """Both ends so many times as far from the value, or as far as they are."""
    times = max(1.0, times)
    low, high = (found.value + times * (end - found.value) for end in (found.low, found.high))
    return dataclasses.replace(found, low=low, high=high)


def widened(found: Figure, times: float, *, most: float = math.inf) -> Figure:
    """The same of a metric: where nothing was below 0, nothing is then.

    most: what no value exceeds.
    """
    wide = stretched(found, times)
    low = max(wide.low, 0.0) if found.low >= 0 else wide.low
    return dataclasses.replace(wide, low=low, high=min(wide.high, most))


def less(new: Figure, old: Figure) -> Figure:
    """One figure less another, of other rows: each side of the interval is made of the sides of
    both that face it (method of variance estimates recovery: Zou and Donner 2008).
    """
    value = new.value - old.value
    below = math.hypot(new.value - new.low, old.high - old.value)
    above = math.hypot(new.high - new.value, old.value - old.low)
    return Figure(value, new.n, value - below, value + above)


def root(mean: Figure) -> Figure:
    """The square root of a figure, ends included."""
    value, low, high = (math.sqrt(max(x, 0.0)) for x in (mean.value, mean.low, mean.high))
    return Figure(value, mean.n, low, high)


def p_of_fewer(hits: int, n: int, expected: float, worth: float = 1.0) -> float:
    """Of so few hits or fewer, with that probability each: exact, binomial.

    Where values are worth more or less than one, by the beta distribution that continues it.
    """
    p = min(max(expected, 0.0), 1.0)
    if worth == 1.0:
        return float(special.bdtr(hits, n, p))
    if hits >= n:
        return 1.0
    return float(special.betainc((n - hits) * worth, hits * worth + 1, 1 - p))


def p_of_fewer_than(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Of so few hits or fewer, with the probability of the others: exact, hypergeometric."""
    return float(stats.hypergeom.cdf(hits, n + other_n, hits + other_hits, n))


def p_of_mean(now: Moments, was: Moments, larger_only: bool) -> float:
    """Of a mean so much larger, or so far off on either side: normal."""
    gap, spread = now.mean - was.mean, math.sqrt(now.variance + was.variance)
    z = gap / spread if spread > 0 else math.copysign(math.inf, gap) if gap else 0.0
    if larger_only:
        return float(special.ndtr(-z))
    return min(2 * float(special.ndtr(-abs(z))), 1.0)
