"""Two samples of named categories compared by their counts, shape (k,) each."""

import dataclasses

import numpy as np
from scipy import stats

from stream import permutations
from stream.columns import Ints

SMALLEST_EXPECTED = 5.0  # Cochran's rule: below it the chi-square law is not to be trusted
LARGE_EXPECTED = 50.0  # from it on the law holds far out in the tail too, where levels lie


@dataclasses.dataclass(frozen=True, slots=True)
class Contingency:
    """A test of a 2 x cells table. statistic: chi-square, or the odds ratio of Fisher's test.

    method: whose law p is of: "chi-square" where all cells are large, "permutation" where some are
    not, "fisher" where two are left of which one is not; "one category": nothing to test.
    pooled: how many categories were put together because too few rows were expected in them.
    """

    statistic: float
    p_value: float
    cells: int
    pooled: int
    method: str


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """The category whose share changed most, and its shares in the two samples."""

    place: int
    before: float
    after: float


def chi_square(first: Ints, second: Ints) -> Contingency:
    """Test that both samples share one distribution over categories.

    Categories in which either sample expects fewer than 5 rows are pooled, smallest first, until
    all cells expect as many. Where some cell then expects fewer than 50, p is that of
    `stream.permutations` if larger, or of Fisher's exact test for a 2 x 2 table: with hundreds of
    categories, or few rows, the chi-square law calls chance a change.
    Source: `scipy.stats.chi2_contingency` (with its correction for 2 x 2), `fisher_exact`.
    Raises ValueError where a sample is empty.
    """
    if min(first.sum(), second.sum()) == 0:
        raise ValueError("chi_square: a sample is empty")
    table, pooled = _pool(np.array([first, second]))
    cells = table.shape[1]
    if cells < 2:
        return Contingency(0.0, 1.0, cells, pooled, "one category")
    large = _expected(table).min() >= LARGE_EXPECTED
    if cells == 2 and not large:
        ratio, p = stats.fisher_exact(table)
        return Contingency(_finite(float(ratio)), float(p), cells, pooled, "fisher")
    statistic, p, _, _ = stats.chi2_contingency(table)
    if large:
        return Contingency(float(statistic), float(p), cells, pooled, "chi-square")
    totals, n = table.sum(axis=0), int(table.sum(axis=1).min())
    p = max(float(p), permutations.p_value(totals, n, float(statistic)))
    return Contingency(float(statistic), p, cells, pooled, "permutation")


def _expected(table: Ints) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Fewest rows that either sample expects in each cell, shape (cells,)."""
    rows = table.sum(axis=1)
    smallest: np.ndarray[tuple[int], np.dtype[np.float64]]
    smallest = table.sum(axis=0) * (rows.min() / rows.sum())
    return smallest


def _pool(table: Ints) -> tuple[Ints, int]:
    """The table with small cells put together in one, and how many those were; two cells stay."""
    table = table[:, table.sum(axis=0) > 0]
    order = np.argsort(table.sum(axis=0), kind="stable")
    expected = _expected(table)[order]
    small = int((expected < SMALLEST_EXPECTED).sum())
    if small == 0 or len(order) <= 2:
        return table, 0
    enough = np.cumsum(expected) >= SMALLEST_EXPECTED
    first_enough = int(np.argmax(enough)) + 1 if enough.any() else len(order)
    together = min(max(small, first_enough, 2), len(order) - 1)
    if together == 1:
        return table, 0
    other = table[:, order[:together]].sum(axis=1, keepdims=True)
    return np.concatenate([table[:, order[together:]], other], axis=1), together


def largest_change(first: Ints, second: Ints) -> Change:
    """The largest change of one category's share.

    Of equal ones, as the two of a yes-or-no feature always are, the rarer of the first sample.
    """
    before, after = first / first.sum(), second / second.sum()
    size = np.abs(after - before)
    equal = np.flatnonzero(size >= size.max() - 1e-12)
    place = int(equal[np.argmin(first[equal])])
    return Change(place, float(before[place]), float(after[place]))


def vanished(first: Ints, second: Ints) -> list[int]:
    """Categories of the first sample of which the second has none, though it expects 5 or more."""
    expected = first * (second.sum() / max(1, int(first.sum())))
    return np.flatnonzero((second == 0) & (expected >= SMALLEST_EXPECTED)).tolist()


def _finite(x: float) -> float:
    return x if np.isfinite(x) else 0.0
