import csv
import dataclasses
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from stream.columns import Floats, Ints, column_of
from stream.features import FeatureReference, summarise
from stream.ranks import (
    EXACT_ROWS,
    Gap,
    grouped,
    jensen_shannon,
    ks_two_sample,
    place,
    psi,
    quantile,
    resolution,
    wasserstein,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ONE = st.one_of(st.integers(-3, 3).map(float), FINITE, st.floats(-1, 1))
SAMPLES = st.lists(ONE, min_size=1, max_size=80).map(np.array)


def coded(reference: Floats, live: Floats, edges: int = 2_048) -> tuple[FeatureReference, Ints]:
    feature = summarise("x", column_of(reference), "number", max_edges=edges)
    return feature, feature.counts_of(column_of(live))[: feature.cells]


def of_values(reference: Floats, live: Floats) -> tuple[Gap, FeatureReference]:
    feature = summarise("x", column_of(reference), "number")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        oracle = stats.ks_2samp(reference, live)
    where = feature.codes(column_of(np.array([oracle.statistic_location])))[0]
    gap = Gap(oracle.statistic, oracle.pvalue, int(oracle.statistic_sign), int(where))
    return gap, feature


@given(SAMPLES, SAMPLES)
@settings(max_examples=300, deadline=None)
def test_on_codes_is_the_test_on_values_to_the_last_bit(a: Floats, b: Floats) -> None:
    feature, counts = coded(a, b)
    oracle, _ = of_values(a, b)
    assert ks_two_sample(feature.counts[: feature.cells], counts) == oracle


DRAWS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "discrete": lambda rng, n: rng.poisson(3, n).astype(np.float64),
    "constant": lambda _rng, n: np.full(n, 7.0),
    "two values": lambda rng, n: rng.choice([0.0, 1e-300], n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n) ** 3,
    "many zeros": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.lognormal(0, 3, n)),
    "rounded": lambda rng, n: np.round(rng.normal(0.1, 1, n), 1),
}


@given(
    st.sampled_from(sorted(DRAWS)),
    st.sampled_from(sorted(DRAWS)),
    st.sampled_from([1, 2, 3, 20, 500, 2_000]),
    st.sampled_from([1, 2, 7, 200, 4_999, 10_000, 10_001, 60_000]),
    st.booleans(),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_shape_and_size_it_is_scipys_test(
    before: str, after: str, n: int, m: int, holes: bool, seed: int
) -> None:
    """Statistic, sign, location and, where scipy's law is exact, p to the last bit."""
    rng = np.random.default_rng(seed)
    a, b = DRAWS[before](rng, n), DRAWS[after](rng, m)
    oracle, feature = of_values(a, b)
    if holes:
        a = np.concatenate([a, [np.nan, np.inf, np.nan]])
        b = np.concatenate([[np.nan, -np.inf], b])
    feature, counts = coded(a, b)
    found = ks_two_sample(feature.counts[: feature.cells], counts)
    assert dataclasses.replace(found, p_value=oracle.p_value) == oracle
    if max(n, m) <= EXACT_ROWS:
        assert found.p_value == oracle.p_value
    else:
        assert abs(found.p_value - oracle.p_value) <= math.ulp(oracle.p_value)


@given(SAMPLES, SAMPLES)
def test_the_distance_is_reached_at_the_place_that_is_named(a: Floats, b: Floats) -> None:
    feature, counts = coded(a, b)
    found = ks_two_sample(feature.counts[: feature.cells], counts)
    where, side = place(feature.edges, found.code)
    share = np.less if side == "just below" else np.less_equal
    apart = share(a, where).mean() - share(b, where).mean()
    assert abs(abs(apart) - found.statistic) < 1e-12


def test_a_billion_rows_need_no_arrays() -> None:
    first, second = np.array([0, 10**9, 0, 10**9, 0]), np.array([0, 10**9, 0, 10**9 + 10**6, 0])
    found = ks_two_sample(first, second)
    apart = 0.5 - 10**9 / (2 * 10**9 + 10**6)
    assert found.statistic == pytest.approx(apart, rel=1e-9)
    large = 2 * 10**9 * (2 * 10**9 + 10**6) / (4 * 10**9 + 10**6)
    assert found.p_value == pytest.approx(stats.kstwobign.sf(apart * np.sqrt(large)), rel=1e-3)


def sample(rng: np.random.Generator, draw: str, n: int, shift: int) -> Floats:
    if draw == "standard_cauchy":
        return rng.standard_cauchy(n)
    if draw == "constant":
        return np.full(n, float(shift))
    x = rng.normal({"normal": 0, "rounded": shift / 10, "shifted": shift}[draw], 1, n)
    return x if draw == "normal" else np.round(x, 1 if draw == "rounded" else 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "rounded", "constant", "shifted"])
@pytest.mark.parametrize(("n", "m"), [(1_500, 997), (2_000, 30_000), (10_000, 12_345)])
def test_at_size_too_exact_and_in_the_limit(seed: int, draw: str, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = sample(rng, draw, n, 0), sample(rng, draw, m, 1)
    oracle, feature = of_values(a, b)
    _, counts = coded(a, b)
    found = ks_two_sample(feature.counts[: feature.cells], counts)
    if feature.exact:
        assert found == oracle
    else:
        assert found.statistic <= oracle.statistic
        assert found.p_value >= oracle.p_value
        mass = resolution(feature.counts[: feature.cells])
        assert oracle.statistic - found.statistic <= mass <= 2 / 2_048


FEW = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=6)


@given(FEW, FEW)
@settings(max_examples=60, deadline=None)
def test_in_the_limit_ties_fall_as_scipys_do(a: list[float], b: list[float]) -> None:
    large, live = np.repeat(a, 10_001), np.array(b)
    oracle, feature = of_values(large, live)
    _, counts = coded(large, live)
    assert ks_two_sample(feature.counts[: feature.cells], counts) == oracle


@given(SAMPLES, SAMPLES, st.integers(1, 8))
@settings(deadline=None)
def test_with_few_edges_it_is_never_overstated(a: Floats, b: Floats, edges: int) -> None:
    feature, counts = coded(a, b, edges)
    known = feature.counts[: feature.cells]
    found = ks_two_sample(known, counts)
    oracle, _ = of_values(a, b)
    assert found.statistic <= oracle.statistic <= found.statistic + resolution(known) + 1e-12
    assert found.p_value >= oracle.p_value


def test_missing_and_non_finite_values_do_not_count() -> None:
    feature, counts = coded(np.array([1.0, 2, 3]), np.array([1.0, np.nan, np.inf, 2, 3]))
    assert counts.sum() == 3
    assert ks_two_sample(feature.counts[: feature.cells], counts).p_value == 1


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ks_two_sample(np.array([1]), np.array([0]))


def test_the_slide(data: Path) -> None:
    with (data / "insurance" / "slide_ages.csv").open() as file:
        rows = list(csv.DictReader(file))
    known, p75, drift = (
        np.array([float(row[name]) for row in rows])
        for name in ("reference", "current_p75", "current_drift")
    )
    for live, p in ((p75, 0.7516787908604354), (drift, 2.3432446792419765e-14)):
        feature, counts = coded(known, live)
        chunks = [coded(known, part)[1] for part in np.array_split(live, 30)]
        assert ks_two_sample(feature.counts[: feature.cells], counts).p_value == p
        assert np.array_equal(np.sum(chunks, axis=0), counts)


@given(st.lists(st.integers(0, 50), min_size=1), st.lists(st.integers(0, 50), min_size=1))
def test_wasserstein_is_scipys_where_all_values_are_edges(a: list[int], b: list[int]) -> None:
    known = np.array([*range(51), *a, *b], dtype=np.float64)
    feature, first = coded(known, np.array(a, dtype=np.float64))
    second = feature.counts_of(column_of(np.array(b, dtype=np.float64)))[: feature.cells]
    oracle = stats.wasserstein_distance(a, b)
    assert wasserstein(feature.edges, first, second) == pytest.approx(oracle, abs=1e-9)


@given(SAMPLES, SAMPLES)
def test_wasserstein_is_finite_and_within_its_stated_error(a: Floats, b: Floats) -> None:
    feature, counts = coded(a, b)
    found = wasserstein(feature.edges, feature.counts[: feature.cells], counts)
    assert np.isfinite(found)
    if np.abs(np.concatenate([a, b])).max() < 1e100:
        inside = np.clip(b, a.min(), a.max())
        oracle = stats.wasserstein_distance(a, inside)
        assert abs(found - oracle) <= np.diff(feature.edges).max(initial=0) / 2 + 1e-9


@given(SAMPLES, st.floats(0, 1))
def test_quantiles_are_numpys_where_all_values_are_edges(a: Floats, q: float) -> None:
    feature, counts = coded(a, a)
    found = quantile(feature.edges, counts, q)
    scale = float(np.abs(a).max())
    with np.errstate(over="ignore", invalid="ignore"):
        oracle = float(np.quantile(a, q))
    if np.isfinite(oracle):
        assert found == pytest.approx(oracle, rel=1e-9, abs=1e-9 * scale)


def test_the_live_median_is_good_to_a_small_part_of_a_gap() -> None:
    rng = np.random.default_rng(3)
    live = rng.normal(0.4, 1, 5_000)
    feature, counts = coded(rng.normal(size=1_500), live)
    assert quantile(feature.edges, counts, 0.5) == pytest.approx(np.median(live), abs=0.003)


def test_an_empty_quantile_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile(np.array([1.0]), np.array([0, 0, 0]), 0.5)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=30))
def test_jensen_shannon_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array([*pairs, (1, 1)]).T
    oracle = distance.jensenshannon(first, second, base=2)
    assert jensen_shannon(first, second) == pytest.approx(oracle, abs=1e-7)


@given(SAMPLES, SAMPLES)
def test_groups_keep_the_rows_and_equal_samples_have_no_psi(a: Floats, b: Floats) -> None:
    feature, counts = coded(a, b)
    known = feature.counts[: feature.cells]
    first, second = grouped(known, counts)
    assert (first.sum(), second.sum()) == (len(a), len(b))
    assert psi(first, first) == 0
    assert psi(first, second) >= 0


def test_psi_of_a_known_pair() -> None:
    first, second = np.array([5_000, 5_000]), np.array([8_000, 2_000])
    assert psi(first, second) == pytest.approx(0.3 * np.log(1.6) - 0.3 * np.log(0.4), rel=1e-3)
