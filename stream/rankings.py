"""Rankings: how well scores tell the positive class from the other, from counts of scores.

Scores of one cell (`stream.scores`) are ties, so an area is off by at most half of the pairs of a
positive and a negative that lie in one cell.
"""

from stream import curves, intervals
from stream.columns import Ints
from stream.intervals import Estimate
from stream.tallies import Tally

PARTS = 10


def counts_of(t: Tally) -> tuple[Ints, Ints] | None:
    """Positives and negatives by score, where there are both, and all outcomes are known so."""
    scores = t.breakdown.scores
    if not scores.sound() or scores.n < max(t.sure_hits + t.sure_misses, 1):
        return None
    positives, negatives = scores.by_label()
    some = (positives > 0) | (negatives > 0)
    found = positives[some], negatives[some]
    return found if found[0].any() and found[1].any() else None


def auroc(t: Tally) -> Estimate | None:
    """The area under the ROC curve; DeLong's variance, and an interval on the scale of log odds."""
    counts = counts_of(t)
    if counts is None:
        return None
    m, n, worth = int(counts[0].sum()), int(counts[1].sum()), t.worth("judged")
    variance = curves.area_variance(*counts) / worth
    size = max(round((m + n) * worth), 1)
    return intervals.logit(curves.area(*counts), size, variance, min(m, n) * worth)


def average_precision(t: Tally) -> Estimate | None:
    """Its interval: on the scale of log odds, as if a share of the positives.

    Boyd, Eng and Page (2013), "Area under the precision-recall curve".
    """
    counts = counts_of(t)
    if counts is None:
        return None
    p, worth = curves.precision(*counts), t.worth("judged")
    size = int(counts[0].sum()) * worth
    rows = max(round(int(counts[0].sum() + counts[1].sum()) * worth), 1)
    return intervals.logit(p, rows, p * (1 - p) / size, size)


def lift(t: Tally) -> Estimate | None:
    """How many times as many positives as the mean tenth the tenth of the highest scores has.

    Its interval is that of the share of all positives that lie there, Wilson's.
    """
    counts = counts_of(t)
    if counts is None:
        return None
    positives = int(counts[0].sum())
    first = curves.captured(*counts, PARTS)[0]
    found = intervals.wilson(min(first / positives, 1.0), positives * t.worth("judged"))
    return intervals.mixed([found], [float(PARTS)])
