"""Trust: whether what a model says of its own sureness comes true."""

from stream import intervals
from stream.bins import ANSWER, POSITIVE
from stream.classes import is_binary
from stream.intervals import Estimate, Figure
from stream.tallies import Tally


def calibration_error(t: Tally) -> Estimate | None:
    """Expected calibration error in ten bins of equal width (Naeini and others 2015).

    Of two classes by the positive one's probability, of more by the answer's (Guo and others 2017).
    The interval: Wilson's in each bin, put together.
    """
    if not _whole(t):
        return None
    worth = t.worth("sure_hits", "sure_misses")
    found = t.breakdown.bins.of(POSITIVE if is_binary(t, 0) else ANSWER)
    n = sum(rows for rows, _, _ in found)
    if n <= 0:
        return None
    parts = [_gap(true / rows, rows * worth, mean) for rows, true, mean in found]
    mixed = intervals.mixed(parts, [rows / n for rows, _, _ in found])
    figure = mixed.figure
    ends = max(figure.low, 0.0), min(figure.high, 1.0)
    return Estimate(Figure(figure.value, max(round(n * worth), 1), *ends), mixed.variance)


def _gap(share: float, size: float, mean: float) -> Estimate:
    """How far a share is from what was said, to either side."""
    found = intervals.wilson(share, size)
    low, high = found.figure.low - mean, found.figure.high - mean
    least = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    most = max(abs(low), abs(high))
    return Estimate(Figure(abs(share - mean), found.figure.n, least, most), found.variance)


def confidently_wrong(t: Tally) -> Estimate | None:
    """The share of answers in the highest of `stream.bins`, 0.9 or more, that are wrong."""
    n = t.sure_hits + t.sure_misses
    if not _whole(t) or n <= 0:
        return None
    rows, right = t.breakdown.bins.last(ANSWER)
    return intervals.wilson((rows - right) / n, n * t.worth("sure_hits", "sure_misses"))


def _whole(t: Tally) -> bool:
    """Whether all outcomes of known confidence are in bins."""
    bins = t.breakdown.bins
    rows = sum(n for n, _, _ in bins.of(ANSWER))
    return bins.sound() and rows == t.sure_hits + t.sure_misses
