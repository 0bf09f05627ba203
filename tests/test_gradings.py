"""stream.gradings: quality at levels that know how much the reference's own panes vary."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stream import gradings
from stream.chronicles import calibrated
from stream.columns import Column, Floats
from stream.evaluations import Known, level_of, quality_evaluation
from stream.grades import Grade
from stream.gradings import graded, inflation_of
from stream.intervals import Inflation
from stream.quality import METRICS
from stream.references import Reference
from stream.settings import DAY_S, MONTH_S, ModelSettings
from stream.subjects import Subject
from stream.tallies import Tally
from tests.test_evaluations import told

HOUR_MS, HOURS, ROWS = 3_600_000, 30 * 24, 20
SETTINGS = ModelSettings(effect_floor_quality=0.0, false_alarms_per_month=10.0)
TIMES = np.repeat(np.arange(HOURS) * HOUR_MS, ROWS)


def hits(random: np.random.Generator, hours: int, uneven: float) -> Floats:
    """Right answers: nine of ten in the mean, but each hour has a share of its own."""
    share = random.beta(9 * uneven, uneven, hours) if uneven else np.full(hours, 0.9)
    return (random.random(hours * ROWS) < np.repeat(share, ROWS)).astype(float)


def reference_of(found: Floats, **more: Floats) -> Reference:
    x = {"x": Column(np.random.default_rng(3).normal(size=len(found)))}
    plain = Reference.build("m", "1", x, quality={"accuracy": float(found.mean())})
    return calibrated(plain, x, {}, TIMES, SETTINGS, 0, {"accuracy": found, **more})


def alarms(reference: Reference, found: Floats) -> int:
    """Of a model's hours after the first day, each with the day before it."""
    up_to, count = np.concatenate([[0], found.reshape(-1, ROWS).sum(axis=1).cumsum()]), 0
    level = level_of(SETTINGS)
    for end in range(24, len(up_to)):
        n, right = 24 * ROWS, int(up_to[end] - up_to[end - 24])
        tally = Tally(n=n, judged=n, hits=right)
        (reading,) = graded(SETTINGS, reference, tally, "classification", level, DAY_S)
        count += reading.verdict == "moved"
    return count


def test_hours_that_differ_alarm_no_more_often_than_the_budget_allows() -> None:
    random = np.random.default_rng(11)
    reference = reference_of(hits(random, HOURS, 1.0))
    live = hits(random, HOURS + 24, 1.0)
    expected = level_of(SETTINGS) * MONTH_S / SETTINGS.pane_s
    assert alarms(reference, live) <= 3 * expected
    naive = dataclasses.replace(reference, calibration=None)
    assert alarms(naive, live) > 6 * expected
    worse = live * (random.random(len(live)) < 0.75)
    assert alarms(reference, worse) > 0.9 * HOURS


def test_independent_outcomes_are_not_inflated() -> None:
    reference = reference_of(hits(np.random.default_rng(12), HOURS, 0.0))
    found = inflation_of(reference, SETTINGS, "accuracy", DAY_S, 24 * ROWS)
    assert found is not None
    assert found.times == pytest.approx(1 + 1 / 30, abs=0.25)
    assert found.freedom == 29


@pytest.mark.parametrize(
    ("change", "name", "window_s"),
    [
        ({"calibration": None}, "accuracy", DAY_S),
        ({}, "brier", DAY_S),
        ({}, "accuracy", 7 * DAY_S),
    ],
)
def test_what_is_not_calibrated_is_taken_for_independent(
    change: dict[str, Any], name: str, window_s: int
) -> None:
    known = reference_of(hits(np.random.default_rng(13), HOURS, 0.0))
    reference = dataclasses.replace(known, **change)
    assert inflation_of(reference, SETTINGS, name, window_s, 100) is None
    minutes = dataclasses.replace(SETTINGS, pane_s=1_800)
    assert inflation_of(known, minutes, "accuracy", DAY_S, 100) is None


def test_a_figure_that_does_not_vary_has_no_inflation() -> None:
    constant = np.full(HOURS * ROWS, 0.25)
    found = reference_of(hits(np.random.default_rng(14), HOURS, 0.0), brier=constant).calibration
    assert found is not None
    assert set(found.quality) == {"accuracy"}


def test_an_evaluation_says_that_quality_is_uncalibrated() -> None:
    of = Subject("m", "1", SETTINGS, 0, DAY_S * 1000)
    known = Reference.build("m", "1", {}, quality={"accuracy": 0.9})
    assert gradings.UNCALIBRATED in quality_evaluation(of, known, told(150, 20), Known()).notes
    unknown = quality_evaluation(of, None, told(150, 20), Known())
    assert gradings.UNCALIBRATED not in unknown.notes


def test_the_level_told_is_the_p_value_of_as_much_certainty() -> None:
    tally = Tally(n=500, judged=500, hits=430)
    inflation = Inflation(3.0, 29)
    verdicts = []
    for level in (0.06, 0.05, 0.04, 0.03, 0.02, 0.01):
        reading = Grade(METRICS["accuracy"], tally, 0.9, None, level, SETTINGS, inflation).reading()
        assert reading.p_value is not None
        assert reading.level is not None
        verdicts.append(reading.verdict == "moved")
        assert verdicts[-1] == (reading.p_value < reading.level)
        assert verdicts[-1] == (inflation.p_value(reading.p_value) < level)
    assert verdicts[0]
    assert not verdicts[-1]
    plain = Grade(METRICS["accuracy"], tally, 0.9, None, 0.01, SETTINGS).reading()
    assert float(str(plain.details["low"])) > float(str(reading.details["low"]))
    assert reading.details["variance_inflation"] == 3.0


@given(
    st.floats(1e-12, 0.5), st.floats(0.25, 50), st.sampled_from((1.0, 29.0, np.inf)), st.booleans()
)
def test_a_level_is_where_a_p_value_reaches_it(
    level: float, times: float, freedom: float, two_sided: bool
) -> None:
    found = Inflation(times, freedom)
    plain = found.level(level, two_sided=two_sided)
    if plain > 1e-290:
        assert found.p_value(plain, two_sided=two_sided) == pytest.approx(level, rel=1e-6)


def test_without_freedom_lost_it_is_the_normal_law() -> None:
    assert Inflation(4.0).p_value(0.001) == pytest.approx(stats.norm.cdf(stats.norm.ppf(0.001) / 2))


@pytest.mark.parametrize("freedom", [2, 6, 29])
def test_an_interval_knows_how_little_is_known_of_the_inflation(freedom: int) -> None:
    tally, known = Tally(n=400, judged=400, hits=300), Inflation(3.0, freedom)
    plain = METRICS["accuracy"].get(tally)
    wide = METRICS["accuracy"].widened(plain, known)
    assert plain is not None
    assert wide is not None
    times = float(stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975)) * 3.0**0.5
    assert plain.value - wide.low == pytest.approx(times * (plain.value - plain.low), rel=1e-9)
    assert wide.high == pytest.approx(min(1.0, plain.value + times * (plain.high - plain.value)))
