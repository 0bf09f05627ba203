"""stream.forecasts: predictions of least squares, and how often their interval is wrong."""

import numpy as np
import pytest
from scipy import stats

from stream.columns import Floats
from stream.forecasts import Forecast, forecast


def plain(series: Floats) -> Forecast:
    """All of one kind."""
    return forecast(series, np.zeros(len(series), dtype=np.int64), 0)


def chance(found: Forecast, now: float) -> float:
    away = abs(now - found.value) / (found.spread * (1 + found.leverage)) ** 0.5
    return float(2 * stats.t.sf(away, found.free))


def test_it_is_the_prediction_of_linear_regression() -> None:
    random = np.random.default_rng(3)
    for k in (5, 7, 40):
        series = random.normal(size=k)
        x, y = series[:-1], series[1:]
        line = stats.linregress(x, y)
        found = plain(series)
        assert found.value == pytest.approx(line.intercept + line.slope * series[-1])
        rest = y - line.intercept - line.slope * x
        assert found.missed == pytest.approx(rest)
        assert found.widest == pytest.approx(float(np.abs(rest).max()))
        assert found.free == k - 3
        assert found.spread == pytest.approx((rest @ rest) / found.free)
        apart = (series[-1] - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
        assert found.leverage == pytest.approx(1 / len(x) + apart)


def test_a_series_that_stands_still_lets_expect_the_same() -> None:
    found = plain(np.full(9, 0.25))
    assert found.value == pytest.approx(0.25)
    assert found.spread < 1e-24


def test_each_kind_has_a_height_of_its_own() -> None:
    kinds = np.arange(28) % 7
    series = np.where(kinds >= 5, -1.0, 0.0) + 0.01 * np.random.default_rng(1).normal(size=28)
    assert forecast(series[:26], kinds[:26], 5).value == pytest.approx(-1.0, abs=0.03)
    assert forecast(series, kinds, 0).value == pytest.approx(0.0, abs=0.03)
    assert forecast(series, kinds, 0).free == 27 - 8
    assert plain(series).widest > 0.5


@pytest.mark.parametrize("phi", [0.0, 0.8])
@pytest.mark.parametrize("k", [7, 30])
def test_chance_is_out_as_seldom_as_it_says(phi: float, k: int) -> None:
    """Whether what varies wanders or not; with few before, some more of those that wander."""
    random, level, times = np.random.default_rng([k, round(10 * phi)]), 0.01, 800
    shocks = random.normal(size=(times, k + 31))
    for i in range(1, k + 31):
        shocks[:, i] += phi * shocks[:, i - 1]
    found = [chance(plain(one[30:-1]), float(one[-1])) <= level for one in shocks]
    most = 1.5 if phi and k < 10 else 1.0
    assert sum(found) <= stats.binom.isf(0.001, times, level * most)
