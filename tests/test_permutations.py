import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream.columns import Floats, Ints
from stream.permutations import cumulants, p_value


def tables(totals: Ints, n: int) -> tuple[Floats, Floats]:
    """Chi-square and chance of every table with three cells, by rising chi-square."""
    ways = itertools.product(range(totals[0] + 1), range(totals[1] + 1))
    drawn = np.array([(a, b, n - a - b) for a, b in ways if 0 <= n - a - b <= totals[2]])
    q = n / totals.sum()
    statistic = ((drawn - totals * q) ** 2 / (totals * q * (1 - q))).sum(axis=1)
    chance = stats.multivariate_hypergeom.pmf(drawn, totals, n)
    order = np.argsort(statistic)
    return statistic[order], chance[order]


@given(st.lists(st.integers(30, 120), min_size=3, max_size=3), st.floats(0.2, 0.5))
@settings(max_examples=15, deadline=None)
def test_it_follows_the_law_of_all_tables(sizes: list[int], share: float) -> None:
    totals = np.array(sizes)
    n = int(totals.sum() * share)
    statistic, chance = tables(totals, n)
    tails = np.cumsum(chance[::-1])[::-1]
    for tail in (1e-2, 1e-3, 1e-4, 1e-5):
        at = int(np.searchsorted(-tails, -tail))
        at = int(np.searchsorted(statistic, statistic[at] - 1e-9))  # the first of equal ones
        assert p_value(totals, n, float(statistic[at])) > tails[at] / 4
        assert p_value(totals, n, float(statistic[at])) < tails[at] * 2


@pytest.mark.parametrize(
    ("cells", "rows", "n"), [(3, 400, 60), (40, 21_000, 400), (90, 2_000, 990)]
)
def test_mean_and_variance_are_those_of_random_tables(cells: int, rows: int, n: int) -> None:
    rng = np.random.default_rng(cells)
    totals = rng.multinomial(rows, np.full(cells, 1 / cells))
    drawn = rng.multivariate_hypergeometric(totals, n, size=40_000, method="marginals")
    q = n / rows
    found = ((drawn - totals * q) ** 2 / (totals * q * (1 - q))).sum(axis=1)
    mean, variance, third = cumulants(totals, n)
    assert mean == pytest.approx(found.mean(), rel=0.02)
    assert variance == pytest.approx(found.var(), rel=0.05)
    assert third == pytest.approx(((found - found.mean()) ** 3).mean(), rel=0.25)


def test_a_far_tail_is_not_promised_away() -> None:
    """With 5 rows expected in a cell, chi-square calls 1 in 3 million what comes 1 in 100,000."""
    totals, n = np.array([600, 1_500, 40_000]), 400
    statistic = 30.0
    full = int(np.ceil(600 * n / totals.sum() + np.sqrt(statistic * 600 * n / totals.sum())))
    alone = float(stats.hypergeom.sf(full - 1, totals.sum(), 600, n))
    assert stats.chi2.sf(statistic, 2) < alone / 10
    assert p_value(totals, n, statistic) >= alone


@given(
    st.lists(st.integers(10, 10**9), min_size=3, max_size=50),
    st.floats(0.001, 0.5),
    st.floats(0, 1e9),
)
def test_whatever_comes_it_is_a_chance(sizes: list[int], share: float, statistic: float) -> None:
    totals = np.array(sizes)
    assert 0 <= p_value(totals, max(1, int(totals.sum() * share)), statistic) <= 1
