"""Fits: how good numbers are as answers, beside their mean and squared errors."""

import math
from fractions import Fraction

from stream import intervals, sums
from stream.breakdowns import Breakdown
from stream.intervals import Estimate, Figure, Moments
from stream.tallies import Tally

LARGE_SQUARE = 1 << 20  # of labels, over their variance: fourth powers are good up to it


def r2(t: Tally) -> Estimate | None:
    """The coefficient of determination: the share of the labels' variance that answers explain.

    1 - A / B, of the mean squared error and the labels' variance: its variance follows from that of
    both and from how they go together (delta method); the interval is normal on the scale of
    log(A / B). None where labels do not vary.

    Where they are 2**10 times as large as they vary, their fourth powers, which are rounded, say
    nothing of it: then they are taken for normal, and independent of the errors.
    """
    if t.numbers < 2 or t.breakdown.valued != t.numbers or t.squares < 0:
        return None
    try:
        return _r2(t, t.breakdown)
    except (OverflowError, ZeroDivisionError):
        return None


def _r2(t: Tally, b: Breakdown) -> Estimate | None:
    n = t.numbers
    mean, square, cube, fourth = (_mean(x, n) for x in (b.labels, *b.label_powers))
    error, error_square, cross, cross_square = (
        _mean(x, n) for x in (t.squares, t.fourths, *b.products)
    )
    spread = square - mean**2
    if spread <= 0:
        return None
    tails = fourth - 4 * mean * cube + 6 * mean**2 * square - 3 * mean**4 - spread**2
    together = cross_square - 2 * mean * cross + mean**2 * error - error * spread
    if spread < square / LARGE_SQUARE:
        tails, together = 2 * spread**2, Fraction(0)
    ratio = error / spread
    varies = error_square - error**2 + ratio**2 * tails - 2 * ratio * together
    size = n * t.worth("numbers")
    variance = max(float(varies / spread**2), 0.0) / max(size - 1, 1)
    share = float(ratio)
    half = math.exp(intervals.Z95 * math.sqrt(variance) / share) if share > 0 else 1.0
    figure = Figure(1 - share, max(round(size), 1), 1 - share * half, 1 - share / half)
    return Estimate(figure, variance)


def _mean(total: int, n: int) -> Fraction:
    return Fraction(total, n << sums.UNIT_BITS)


def quantile_loss(t: Tally, quantile: float) -> Estimate | None:
    """The mean pinball loss: too little counts by the quantile, too much by the rest."""
    b, n = t.breakdown, t.numbers
    if n <= 0 or b.valued != n:
        return None
    under = sums.to_float(t.absolutes - t.errors, 2 * n)
    over = sums.to_float(t.absolutes + t.errors, 2 * n)
    mean = quantile * under + (1 - quantile) * over
    squares = quantile**2 * sums.to_float(t.squares - b.over, n)
    squares += (1 - quantile) ** 2 * sums.to_float(b.over, n)
    size = n * t.worth("numbers")
    variance = max(squares - mean * mean, 0.0) / max(size - 1, 1)
    found = Moments(max(round(size), 1), mean, variance)
    figure = found.figure()
    return None if figure is None or not math.isfinite(mean) else Estimate(figure, variance)
