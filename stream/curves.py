"""Curves: how well scores rank, from how many of each score were true and how many were not.

positives, negatives: counts by score, shape (k,) each, the lowest score first. Equal scores are
ties, as in scikit-learn.
"""

import numpy as np

from stream.columns import Floats, Ints


def area(positives: Ints | Floats, negatives: Ints | Floats) -> float:
    """Area under the ROC curve: how often a positive has the higher score, ties half.

    >>> area(np.array([0, 1, 1]), np.array([1, 0, 1]))
    0.625
    """
    below = np.cumsum(negatives) - negatives
    won = positives * (2.0 * below + negatives)
    return float(won.sum() / (2.0 * positives.sum() * negatives.sum()))


def area_variance(positives: Ints, negatives: Ints) -> float:
    """Of the area: the sum of `area_variances`."""
    return sum(area_variances(positives, negatives))


def area_variances(positives: Ints, negatives: Ints) -> tuple[float, float]:
    """What positives and what negatives add to the variance of the area.

    By DeLong, DeLong and Clarke-Pearson (1988): of the shares that each one wins. 0 with one of a
    kind, of whose differences nothing is known.
    """
    m, n = int(positives.sum()), int(negatives.sum())
    below = (np.cumsum(negatives) - negatives + negatives / 2) / n
    above = (positives.sum() - np.cumsum(positives) + positives / 2) / m
    return _spread(below, positives, m), _spread(above, negatives, n)


def _spread(shares: Floats, counts: Ints, n: int) -> float:
    """The variance of a mean of shares."""
    if n < 2:
        return 0.0
    mean = float((shares * counts).sum()) / n
    return float(((shares - mean) ** 2 * counts).sum()) / (n - 1) / n


def precision(positives: Ints | Floats, negatives: Ints | Floats) -> float:
    """Average precision: of each score, the precision from it on, weighted by its positives.

    >>> round(precision(np.array([0, 1, 1]), np.array([1, 0, 1])), 4)
    0.5833
    """
    true = np.cumsum(positives[::-1])
    called = true + np.cumsum(negatives[::-1])
    here = positives[::-1] > 0
    share = true[here] / called[here] * positives[::-1][here]
    return float(share.sum() / positives.sum())


def captured(positives: Ints, negatives: Ints, parts: int = 10) -> list[float]:
    """How many positives are in each part of the rows, equal parts, the highest scores first.

    Where a part ends within a score, its rows count by their share.
    """
    rows = np.cumsum((positives + negatives)[::-1])
    true = np.cumsum(positives[::-1])
    ends = rows[-1] * np.arange(parts + 1) / parts
    up_to = np.interp(ends, np.concatenate([[0], rows]), np.concatenate([[0], true]))
    return [float(x) for x in np.diff(up_to)]
