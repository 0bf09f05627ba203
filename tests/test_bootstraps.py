"""Bootstraps: laws of references whose true laws are known."""

import numpy as np
import pytest
from scipy import signal, stats

from stream.bootstraps import Plan, calibrate
from stream.columns import Column, Floats
from stream.features import summarise
from stream.settings import DAY_S
from stream.slots import Counts, cell_ends, counted, panes_of

HOUR_S = 3_600
PLAN = Plan(HOUR_S, (HOUR_S, DAY_S))
ROWS, HOURS = 100, 720


def counts_of(*columns: Floats, rows: int = ROWS) -> list[Counts]:
    hours = len(columns[0]) // rows
    panes = panes_of(np.repeat(np.arange(hours) * HOUR_S * 1000, rows), HOUR_S, -1)
    found = []
    for i, x in enumerate(columns):
        one = counted(summarise(f"f{i}", Column(x)), "input", Column(x), panes, 64)
        assert one is not None
        found.append(one)
    return found


def normal(seed: int, n: int = ROWS * HOURS) -> Floats:
    return np.random.default_rng(seed).normal(size=n)


def autoregressive(seed: int) -> Floats:
    found: Floats = signal.lfilter([np.sqrt(1 - 0.81)], [1.0, -0.9], normal(seed))
    return found


def test_independent_rows_follow_kolmogorovs_law() -> None:
    found = calibrate(counts_of(normal(1)), PLAN)
    assert found is not None
    assert found.order == "panes"
    assert found.features["f0"] == pytest.approx((1.0, 1.0), abs=0.1)
    law = found.windows[0].law(1)
    for rate in (0.01, 0.001):
        exact = stats.kstwobign.isf(rate) ** 2
        assert law.threshold(rate) == pytest.approx(exact, rel=0.1)


def test_rows_that_resemble_each_other_inflate_the_variance() -> None:
    found = calibrate(counts_of(autoregressive(2)), PLAN)
    assert found is not None
    assert 9 < found.features["f0"][0] < 15


def test_a_season_within_the_day_is_no_change_of_the_day() -> None:
    wave = np.repeat(np.sin(2 * np.pi * np.arange(HOURS) / 24), ROWS)
    found = calibrate(counts_of(normal(3) + wave), PLAN)
    assert found is not None
    assert found.order == "hours"
    hour, day = found.features["f0"]
    assert hour > 10
    assert day < 1.3


def test_days_that_differ_as_a_whole_are_seen() -> None:
    days = np.repeat(normal(4, 30) * 0.1, 24 * ROWS)
    found = calibrate(counts_of(normal(5) + days), PLAN)
    assert found is not None
    assert found.order == "days"
    assert found.features["f0"][1] > 3 * found.features["f0"][0]


def test_many_features_alarm_more_often_than_one_and_equal_ones_do_not() -> None:
    x = normal(6)
    thresholds = []
    for columns in ([x], [x, x, x], [x, normal(7), normal(8)]):
        found = calibrate(counts_of(*columns), PLAN)
        assert found is not None
        thresholds.append(found.windows[1].law(2).threshold(1e-3))
    one, equal, many = thresholds
    assert equal == pytest.approx(one, rel=0.1)
    assert many == pytest.approx(one + np.log(3) / 2, rel=0.15)


def test_the_same_reference_gives_the_same_calibration() -> None:
    first, second = (calibrate(counts_of(normal(9)), PLAN) for _ in range(2))
    assert first == second
    other = calibrate(counts_of(normal(9)), Plan(HOUR_S, PLAN.windows_s, seed=1))
    assert other is not None
    assert other != first


def test_too_few_panes_calibrate_nothing() -> None:
    assert calibrate([], PLAN) is None
    assert calibrate(counts_of(normal(10, 20 * ROWS)), PLAN) is None
    some = calibrate(counts_of(normal(10, 30 * ROWS)), PLAN)
    assert some is not None
    assert [w.window_s for w in some.windows] == [
        HOUR_S
    ]  # a day of one day and a bit shows nothing


def test_panes_without_rows_and_rows_without_a_time_are_left_out() -> None:
    x = normal(11)
    times = np.repeat(np.arange(HOURS) * HOUR_S * 1000, ROWS)
    night = (times // (HOUR_S * 1000) % 24) < 6
    times[::10] = -1
    panes = panes_of(times[~night], HOUR_S, -1)
    f = summarise("x", Column(x[~night]))
    one = counted(f, "input", Column(x[~night]), panes, 64)
    assert one is not None
    assert one.rows.max() == 90
    assert one.rows.sum() == 90 * 18 * 30
    found = calibrate([one], PLAN, panes.first)
    assert found is not None
    assert found.features["x"] == pytest.approx((1.0, 1.0), abs=0.15)


@pytest.mark.parametrize("values", [[1.0] * 50, [1.0, 2.0] * 50, [0.0] * 90 + [*range(1, 11)]])
def test_ends_of_cells_are_codes_below_the_last(values: list[float]) -> None:
    f = summarise("x", Column(np.array(values)))
    ends = cell_ends(f, 8)
    assert (np.diff(ends) > 0).all()
    assert all(0 <= end < f.cells - 1 for end in ends.tolist())


def test_panes_that_do_not_differ_are_no_reason_to_expect_the_same_of_others() -> None:
    found = calibrate(counts_of(np.tile(np.arange(float(ROWS)), HOURS)), PLAN)
    assert found is not None
    assert found.features["f0"] == (0.25, 0.25)
    assert found.windows[0].law(1).threshold(0.01) == pytest.approx(np.log(200) / 2)
