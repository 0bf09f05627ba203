import numpy as np
import pytest
from scipy import stats

from stream.columns import Column, Value, column_of
from stream.features import summarise
from stream.measures import Comparison, chi_square, ks, missing
from stream.settings import ModelSettings

RNG = np.random.default_rng(11)
AGES = RNG.normal(31.4, 12, 1_500)


def comparison(known: Column, live: Column) -> Comparison:
    feature = summarise("x", known)
    return Comparison(feature, feature.counts_of(live), ModelSettings())


def test_ks_measures_what_scipy_measures() -> None:
    live = RNG.normal(34, 12, 1_000)
    found = ks(comparison(column_of(AGES), column_of(live)))
    oracle = stats.ks_2samp(AGES, live)
    assert (found.statistic, found.p_value) == (oracle.statistic, oracle.pvalue)
    distance = stats.wasserstein_distance(AGES, live)
    assert found.details["wasserstein"] == pytest.approx(distance, rel=0.01)
    assert found.effect is not None
    assert found.effect.value == pytest.approx(distance / AGES.std(), rel=0.01)
    assert found.details["median"] == pytest.approx(np.median(live), abs=0.02)
    assert found.details["resolution"] == 0


def test_chi_square_measures_what_scipy_measures() -> None:
    known, live = np.repeat([0, 1], [906, 594]), np.repeat([0, 1], [738, 762])
    found = chi_square(comparison(column_of(known.tolist()), column_of(live.tolist())))
    oracle = stats.chi2_contingency([[906, 594], [738, 762]])
    assert (found.statistic, found.p_value) == (oracle.statistic, oracle.pvalue)
    assert found.what == "x: share of 1 rose 39.6% -> 50.8%"


def test_many_new_names_are_cut_short_in_the_sentence() -> None:
    feature = summarise("x", column_of(["a", "b"] * 100))
    counts = feature.counts_of(column_of(["a", "b", "c"] * 100))
    names = tuple("cdefg")
    found = chi_square(Comparison(feature, counts, ModelSettings(), new_names=names))
    assert found.what.endswith("; new: c, d, e and 2 more")


def test_missing_counts_all_that_is_not_there() -> None:
    live: list[Value] = [None, float("inf"), "n/a", *AGES[:997].tolist()]
    found = missing(comparison(column_of(AGES), column_of(live)))
    assert found.effect is not None
    assert found.effect.value == pytest.approx(0.002)
    assert found.n == 1_000
    assert found.what == ("x: missing rose 0% -> 0.1%, infinite rose 0% -> 0.1%")
