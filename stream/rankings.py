"""Rankings: how well scores tell a class from the others, from counts of scores.

Of two classes the positive one is told from the other. Of more, each is told from all the others by
its own probability, and the figures are means over the classes that labels name, all of equal
weight, as scikit-learn's `multi_class="ovr"`, `average="macro"`.

Scores of one cell (`stream.scores`) are ties, so an area is off by at most half of the pairs of a
positive and a negative that lie in one cell.
"""

import math

from stream import curves, intervals
from stream.bins import ANSWER, POSITIVE
from stream.columns import Ints
from stream.intervals import Estimate
from stream.ovr import MOST
from stream.scores import Scores
from stream.tallies import Tally

PARTS = 10
Counts = tuple[Ints, Ints]
UNTOLD = (
    "auroc and average_precision are not told: of more than two classes they need predictions that "
    f"all give a probability to the same ones, {MOST} at most, and none counted by an earlier "
    "release"
)


def counts_of(t: Tally) -> Counts | None:
    """Positives and negatives by score, where there are both, and all outcomes are known so."""
    scores = t.breakdown.scores
    if not scores.sound() or scores.n < max(t.sure_hits + t.sure_misses, 1):
        return None
    return _counts(scores)


def each_of(t: Tally) -> list[Counts]:
    """The same of each of more than two classes against all others; without those of no label."""
    if not _told_apart(t):
        return []
    found = map(_counts, t.breakdown.ovr.counts().values())
    return [counts for counts in found if counts is not None]


def notes(t: Tally) -> list[str]:
    """What an evaluation says where there are more than two classes, and they are not ranked."""
    answers, positives = (
        sum(n for n, _, _ in t.breakdown.bins.of(kind)) for kind in (ANSWER, POSITIVE)
    )
    return [UNTOLD] if answers > positives and not _told_apart(t) else []


def auroc(t: Tally) -> Estimate | None:
    """The area under the ROC curve; DeLong's variance, and an interval on the scale of log odds."""
    counts = counts_of(t)
    if counts is None:
        return _mean_area(each_of(t), t.worth("scored"))
    m, n, worth = int(counts[0].sum()), int(counts[1].sum()), t.worth("judged")
    variance = curves.area_variance(*counts) / worth
    size = max(round((m + n) * worth), 1)
    return intervals.logit(curves.area(*counts), size, variance, min(m, n) * worth)


def average_precision(t: Tally) -> Estimate | None:
    """Its interval: on the scale of log odds, as if a share of the positives.

    Boyd, Eng and Page (2013), "Area under the precision-recall curve". Of more than two classes the
    ends are the means of theirs (`stream.intervals.alike`).
    """
    counts = counts_of(t)
    if counts is not None:
        return _precision(counts, t.worth("judged"))
    parts = [_precision(c, t.worth("scored")) for c in each_of(t)]
    return intervals.alike(parts) if parts else None


def _precision(counts: Counts, worth: float) -> Estimate:
    p, size = curves.precision(*counts), int(counts[0].sum()) * worth
    rows = max(round(int(counts[0].sum() + counts[1].sum()) * worth), 1)
    return intervals.logit(p, rows, p * (1 - p) / size, size)


def _told_apart(t: Tally) -> bool:
    """Whether all outcomes with a probability are counted by each of more than two classes."""
    found = t.breakdown.ovr.counts().values()
    return bool(found) and all(scores.sound() and scores.n == t.scored for scores in found)


def _counts(scores: Scores) -> Counts | None:
    positives, negatives = scores.by_label()
    some = (positives > 0) | (negatives > 0)
    found = positives[some], negatives[some]
    return found if found[0].any() and found[1].any() else None


def _mean_area(counted: list[Counts], worth: float) -> Estimate | None:
    if not counted:
        return None
    parts, lonely = [], False
    for counts in counted:
        m, n = int(counts[0].sum()), int(counts[1].sum())
        lone = min(m, n) < 2  # of what one of a kind varies by nothing is known
        variance = 0.0 if lone else curves.area_variance(*counts) / worth
        size = max(round((m + n) * worth), 1)
        parts.append(intervals.logit(curves.area(*counts), size, variance, min(m, n) * worth))
        lonely |= lone or variance <= 0.0
    return intervals.alike(parts, 1.0 if lonely else _shared(counted))


def _shared(counted: list[Counts]) -> float:
    """The deviation of a mean of areas, as a share of what it were if all were off together; 1 at
    most.

    A row is a positive of one class alone: what positives add is independent from class to class.
    What negatives add may go together in any way, with each other and with the positives.
    """
    both = [curves.area_variances(*counts) for counts in counted]
    together = sum(math.sqrt(own + other) for own, other in both)
    apart = math.sqrt(sum(own for own, _ in both)) + sum(math.sqrt(other) for _, other in both)
    return min(1.0, apart / together)


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
