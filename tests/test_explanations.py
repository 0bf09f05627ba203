"""Explanations: what is said of a model, and that it is what evaluations do."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agents import explain as explaining
from bench.months import month_of, reference_of, settings_of
from bench.worlds import WORLDS, columns
from stream.columns import Column
from stream.explanations import Explanation, explain
from stream.features import summarise
from stream.prospects import gap_of
from stream.references import Reference
from stream.settings import DAY_S, DetectorSettings, ModelSettings

HOUR_S = 3_600
BOTH = settings_of(1.0, (HOUR_S, DAY_S))
WORLD = WORLDS["i.i.d. normal"]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(WORLD, np.random.default_rng(1), BOTH)


def told(reference: Reference | None, settings: ModelSettings = BOTH) -> Explanation:
    return explain("m", "1", reference, settings)


def test_a_calibrated_reference_promises_its_budget(reference: Reference) -> None:
    found = told(reference)
    assert found.promised
    assert [w.rows for w in found.windows] == [200, 4_800]
    assert sum(w.by_chance_a_month or 0 for w in found.windows) == pytest.approx(1.0)
    assert [w.reference_windows for w in found.windows] == [720, 30]
    assert found.promises[1] == (
        "30d of reference, windows of 1d: a budget of 1 is kept, 0.1 is not promised"
    )


def test_what_has_no_order_promises_nothing(reference: Reference) -> None:
    plain = dataclasses.replace(reference, calibration=None)
    found = told(plain)
    assert not found.promised
    assert found.promises == ["uncalibrated: no time order"]
    assert found.windows[1].rows is None
    assert explain("m", "1", plain, BOTH, 200.0).windows[1].rows == 4_800


def test_without_a_reference_the_first_rows_are_waited_for() -> None:
    found = told(None)
    assert found.reference_id is None
    assert found.promises == ["no reference: the first 1,000 rows will stand for one"]
    assert found.watched == {}


def test_all_that_is_watched_is_named() -> None:
    columns = {"x": Column(np.arange(50.0)), "y": Column(np.array([1.0, np.nan] * 25))}
    known = Reference.build("m", "1", columns, quality={"accuracy": 0.9})
    settings = ModelSettings(detectors=(DetectorSettings("ADWIN"),), objectives={"brier": 0.1})
    assert told(known, settings).watched == {
        "ks": ["x"],
        "chi-square": ["y"],
        "missing": ["y"],
        "quality": ["accuracy", "brier"],
        "detectors": ["ADWIN of error"],
    }
    assert "ks" not in told(known, dataclasses.replace(settings, ignore=("x",))).watched


@given(st.floats(0.01, 4.0))
def test_the_gap_of_a_shift_is_that_of_the_shifted_values(shift: float) -> None:
    x = np.random.default_rng(2).normal(size=500)
    f = summarise("x", Column(x))
    expected = stats.ks_2samp(x, x + shift * f.sd).statistic
    assert gap_of(f, shift) == pytest.approx(expected, abs=1e-9)


def test_a_larger_shift_is_found_sooner(reference: Reference) -> None:
    for window in told(reference).windows:
        times = [one.median_s or 10**9 for one in window.found]
        assert times == sorted(times, reverse=True)
        assert all(one.median_s <= one.p90_s for one in window.found if one.median_s and one.p90_s)
    assert told(reference).windows[0].found[-1].p90_s == HOUR_S


def test_a_shift_below_the_floor_is_said_not_to_matter(reference: Reference) -> None:
    floor = dataclasses.replace(BOTH, effect_floor_sd=0.3)
    found = told(reference, floor).windows[1].found
    assert [one.matters for one in found] == [False, False, True, True, True]
    assert found[1].median_s is None


def test_floors_and_weights_are_told(reference: Reference) -> None:
    settings = dataclasses.replace(BOTH, effect_floor_data=0.02, effect_floors={"f0": 3.5})
    weighed = dataclasses.replace(reference, weights={"f0": 0.25, "f1": 0.75})
    found = told(weighed, settings)
    assert found.floors["data"] == 0.02
    assert found.own_floors == {"f0": 3.5}
    assert list(found.weights) == ["f1", "f0"]
    lines = dict(explaining.lines(found))
    assert lines["weights"] == "what moved is ranked by them: f1 0.75, f0 0.25"
    assert "in their own unit: f0 3.5" in lines["matters"]
    plain = dict(explaining.lines(told(reference, ModelSettings())))
    assert plain["matters"].startswith(
        "a number's change from 0.1 sd on, a category's from 7.5% of"
    )
    assert "weights" not in plain


def test_the_rows_that_a_window_needs_are_told_and_what_no_window_can_see(
    reference: Reference,
) -> None:
    floor = dataclasses.replace(BOTH, effect_floor_sd=0.1)
    for window in told(reference, floor).windows:
        assert window.rows_needed is not None
        assert 3_000 < window.rows_needed < 12_000
    assert not any("too few" in said for said in told(reference, floor).lacks)
    for off in (BOTH, dataclasses.replace(floor, power=0.0)):
        assert [w.rows_needed for w in told(reference, off).windows] == [None, None]
    short = Reference.build("m", "1", {"x": Column(np.random.default_rng(3).normal(size=400))})
    assert told(short, floor).lacks[0] == (
        "400 rows of reference are too few to tell a change as large as the effect floor from "
        "chance, in however long a window: x"
    )


def test_what_is_explained_is_what_happens(reference: Reference) -> None:
    """Half of the shifts are found within the time that is said, by simulation."""
    shift, late, seen = 0.5, [], told(reference).windows[1].found[2]
    daily = settings_of(1.0, (DAY_S,))
    for seed in range(20):
        live = columns(WORLD, np.random.default_rng([3, seed]), 48)
        live[0][24 * WORLD.rows :] += shift
        month = month_of(reference, live, WORLD.rows)
        late.append(next(hour for hour in month.alarming(0, daily) if hour))
    expected = told(reference, daily).windows[0].found[2]
    assert seen.shift_sd == expected.shift_sd == shift
    assert np.median(late) * HOUR_S == pytest.approx(expected.median_s or 0, abs=HOUR_S)
