"""How surprising a chi-square is where cells are small: rows dealt out anew to the two samples.

With both samples' sizes and all cells' totals fixed, the rows of the smaller sample are a draw
without replacement from all rows together (the multivariate hypergeometric law). The chi-square
law is its limit, and promises too much in the tail: with 5 rows expected in a cell, what it calls
1 in 3,000,000 comes 1 in 100,000 times. Nothing is drawn at random here.
"""

import numpy as np
from scipy import special

from stream.columns import Floats, Ints

TERMS = 64  # of a tail: each is at most 0.7 of the one before


def p_value(totals: Ints, n: int, statistic: float) -> float:
    """Chance of Pearson's chi-square of at least `statistic`.

    Within a factor of 3 of that law down to 1 in 100,000, and of 10 down to 1e-12.

    totals: rows of both samples in each of three or more cells, shape (cells,), each with 5 or more
    rows expected; n: rows of the smaller sample. The larger of two approximations from below: a
    Pearson III law with the statistic's own mean, variance and third cumulant, which is close for
    many cells; and the chance that a single cell alone is that far out, which is close in the tail.
    """
    return min(1.0, max(_pearson_three(totals, n, statistic), _one_cell(totals, n, statistic)))


def _pearson_three(totals: Ints, n: int, statistic: float) -> float:
    mean, variance, third = cumulants(totals, n)
    skew = third / variance**1.5
    shape = 4 / skew**2
    standard = (statistic - mean) / np.sqrt(variance)
    return float(special.gammaincc(shape, max(0.0, shape + standard * 2 / skew)))


def cumulants(totals: Ints, n: int) -> tuple[float, float, float]:
    """Mean, variance and third cumulant of chi-square over such tables, to two orders.

    Each cell is binomial and the cells are tied by their sum: z = g**2 - 1 - c g is what a cell
    adds, less its regression on the sum; g is the cell's count, standardised. The tie takes away
    one chi-square of one degree of freedom.
    """
    cells, rows = len(totals), int(totals.sum())
    q = n / rows
    v: Floats = totals.astype(np.float64) * (q * (1 - q))
    g3, g4, g5, g6 = _moments(v, q)
    c = cells * (1 - 2 * q) / (rows * q * (1 - q)) * np.sqrt(v)
    second = g4 - 1 - 2 * c * g3 + c**2
    third = g6 - 3 * g4 + 2 - 3 * c * (g5 - 2 * g3) + 3 * c**2 * (g4 - 1) - c**3 * g3
    mean = (cells - 1) * rows / (rows - 1)
    return mean, max(float(second.sum()) - 2, cells - 1), max(float(third.sum()) - 8, cells - 1)


def _moments(v: Floats, q: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Third to sixth moments of standardised binomials of variance v, from their cumulants."""
    pq, odd = q * (1 - q), 1 - 2 * q
    k3, k4, k5, k6 = (
        odd / v**0.5,
        (1 - 6 * pq) / v,
        odd * (1 - 12 * pq) / v**1.5,
        (1 - 30 * pq + 120 * pq**2) / v**2,
    )
    return k3, k4 + 3, k5 + 10 * k3, k6 + 15 * k4 + 10 * k3**2 + 15


def _one_cell(totals: Ints, n: int, statistic: float) -> float:
    """Chance that some one cell is so full that it makes the statistic by itself."""
    rows = int(totals.sum())
    t = totals.astype(np.float64)
    q = n / rows
    far = np.sqrt(statistic * t * q * (1 - q) * (1 - t / rows))
    start = np.ceil(t * q + far - 1e-9)
    possible = start <= np.minimum(t, n)
    t, start = t[possible], start[possible]
    first = np.exp(
        log_choices(t, start) + log_choices(rows - t, n - start) - log_choices(np.array([rows]), n)
    )
    x = start[:, None] + np.arange(TERMS)
    up = np.maximum((t[:, None] - x) * (n - x), 0.0)
    steps = up / ((x + 1) * (rows - t[:, None] - n + x + 1))
    return float((first * (1 + np.cumprod(steps, axis=1).sum(axis=1))).sum())


def log_choices(n: Floats | float, k: Floats | float) -> Floats:
    """Logarithm of the number of ways to choose k of n; minus infinity where k is more than n."""
    found: Floats = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return found
