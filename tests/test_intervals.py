"""stream.intervals: against scipy."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stream import intervals, sums
from stream.intervals import Moments, moments


def moments_of(x: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Moments:
    return moments(len(x), sums.exact_sum(x), sums.exact_sum(x * x))


@given(st.integers(0, 400), st.integers(1, 400))
def test_the_interval_of_a_share_is_wilsons(hits: int, n: int) -> None:
    if hits > n:
        assert intervals.share(hits, n) is None
        return
    found = intervals.share(hits, n)
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert found is not None
    assert (found.value, found.n) == (hits / n, n)
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)


@given(st.integers(0, 300), st.integers(1, 300), st.floats(0, 1))
def test_hits_against_a_value_are_an_exact_binomial_test(hits: int, n: int, p: float) -> None:
    hits = min(hits, n)
    expected = stats.binomtest(hits, n, p, alternative="less").pvalue
    assert intervals.p_of_fewer(hits, n, p) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_hits_against_hits_are_fishers_exact_test() -> None:
    table = [[70, 90], [30, 10]]
    expected = stats.fisher_exact(table, alternative="less").pvalue
    assert intervals.p_of_fewer_than(70, 100, 90, 100) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_a_mean_keeps_its_digits_and_its_interval(offset: float) -> None:
    x = np.random.default_rng(4).normal(size=1000) + offset
    found = moments_of(x)
    assert found.mean == pytest.approx(x.mean(), rel=1e-15)
    if offset == 0:
        assert found.variance == pytest.approx(x.var(ddof=1) / 1000, rel=1e-12)
    figure = found.figure()
    assert figure is not None
    low, high = stats.norm.interval(0.95, found.mean, found.variance**0.5)
    assert (figure.low, figure.high) == pytest.approx((low, high), rel=1e-12)


def test_a_mean_of_what_is_alike_is_as_uncertain_as_its_parts() -> None:
    one, other = intervals.wilson(0.8, 50), intervals.wilson(0.6, 50)
    assert intervals.alike([one, one]).variance == pytest.approx(one.variance)
    found = intervals.alike([one, other])
    ends = [(x.figure.low, x.figure.value, x.figure.high) for x in (one, other, found)]
    assert ends[2] == pytest.approx(np.mean(ends[:2], axis=0))
    assert found.variance**0.5 == pytest.approx((one.variance**0.5 + other.variance**0.5) / 2)
    apart = intervals.mixed([one, other], [0.5, 0.5])
    assert apart.variance < found.variance
    assert apart.figure.value == found.figure.value
    half = intervals.alike([one, other], 0.5)
    assert half.figure.high - half.figure.value == pytest.approx((ends[2][2] - ends[2][1]) / 2)
    assert half.variance == pytest.approx(found.variance / 4)


def test_means_are_compared_by_z() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(0.1, 1, 500), rng.normal(0, 2, 900)
    now, was = moments_of(x), moments_of(y)
    z = (x.mean() - y.mean()) / (x.var(ddof=1) / 500 + y.var(ddof=1) / 900) ** 0.5
    assert intervals.p_of_mean(now, was, True) == pytest.approx(stats.norm.sf(z), rel=1e-9)
    assert intervals.p_of_mean(now, was, False) == pytest.approx(
        2 * stats.norm.sf(abs(z)), rel=1e-9
    )


def test_values_without_spread_are_certain() -> None:
    same = moments_of(np.full(10, 0.5))
    assert intervals.p_of_mean(same, Moments(0, 0.4, 0.0), True) == 0.0
    assert intervals.p_of_mean(same, Moments(0, 0.6, 0.0), True) == 1.0
    assert intervals.p_of_mean(same, Moments(0, 0.5, 0.0), True) == 0.5
    assert intervals.p_of_mean(same, Moments(0, 0.5, 0.0), False) == 1.0
    assert Moments(0, 0.0, 0.0).figure() is None


@pytest.mark.parametrize("shares", [(0.6, 0.15, 0.05, 0.2), (0.88, 0.05, 0.05, 0.02)])
def test_a_paired_difference_is_covered_as_often_as_promised(shares: tuple[float, ...]) -> None:
    """Over all tables of 24 pairs, each as often as it comes; never far below 95%."""
    n, covered = 24, 0.0
    for both, new, old in itertools.product(range(n + 1), repeat=3):
        if both + new + old <= n:
            table = (both, new, old, n - both - new - old)
            found = intervals.paired(*table, n)
            assert found.low <= found.value <= found.high
            if found.low <= shares[1] - shares[2] <= found.high:
                covered += float(stats.multinomial.pmf(table, n, shares))
    assert covered > 0.94


@given(*[st.integers(0, 60)] * 4)
def test_paired_versions_that_swap_places_swap_ends(
    both: int, new: int, old: int, neither: int
) -> None:
    n = both + new + old + neither
    if n:
        one, other = (intervals.paired(both, *x, neither, n) for x in ((new, old), (old, new)))
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-12)
        apart = intervals.less(*(_share(x, n) for x in (both + new, both + old)))
        assert one.value == pytest.approx(apart.value, abs=1e-12)
        if both * neither > new * old:  # they go together: surer than two shares apart
            assert one.high - one.low <= apart.high - apart.low + 1e-12


def _share(hits: int, n: int) -> intervals.Figure:
    found = intervals.share(hits, n)
    assert found is not None
    return found


@given(st.integers(0, 200), st.integers(0, 200))
def test_uneven_sides_are_an_exact_sign_test(new: int, old: int) -> None:
    expected = stats.binomtest(new, new + old).pvalue if new + old else 1.0
    assert intervals.p_of_sides(new, old) == pytest.approx(expected, rel=1e-9)
