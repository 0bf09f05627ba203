"""Points: what outcomes say of scores, as a curve is learnt from them."""

from typing import Any

import numpy as np

from stream.bins import ANSWER
from stream.columns import Floats, Ints
from stream.estimates import PROPER
from stream.odds import OfWhat
from stream.scores import middles
from stream.tallies import Tally

MOST_POINTS = 512  # neighbours are put together, so that each has as many labels
MINIMUM_LABELS = 500  # with fewer, a curve says more of chance than of scores

Point = tuple[float, int, int]


def columns(points: list[Point]) -> dict[str, Any]:
    """The columns of an event, by name."""
    found = zip(*points, strict=True)
    return dict(zip(("scores", "labelled", "right"), map(list, found), strict=True))


def taught(tally: Tally, of: OfWhat) -> list[Point]:
    """Scores, rising, with their labels, and those that are what the score is a probability of.

    Confidence in answers is known by tenths only.
    """
    if of != PROPER:
        return [(mean, n, right) for n, right, mean in tally.breakdown.bins.of(ANSWER)]
    true, false = tally.breakdown.scores.by_label()
    some = true + false > 0
    return [*_pooled(middles()[some], (true + false)[some], true[some])]


def _pooled(scores: Floats, labelled: Ints, right: Ints) -> Any:
    """Neighbours together, at most MOST_POINTS, each of about as many labels."""
    total = int(labelled.sum())
    if len(scores) > MOST_POINTS:
        before = np.cumsum(labelled) - labelled
        starts = np.flatnonzero(np.diff(before * MOST_POINTS // total, prepend=-1))
        mean = np.add.reduceat(scores * labelled, starts)
        labelled, right = (np.add.reduceat(x, starts) for x in (labelled, right))
        scores = mean / labelled
    return zip(scores.tolist(), labelled.tolist(), right.tolist(), strict=True)
