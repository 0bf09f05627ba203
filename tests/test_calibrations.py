"""Calibrations: documents, and the levels that follow from them."""

import dataclasses
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.calibrations import (
    Calibration,
    Law,
    WindowLaw,
    allowance,
    denser,
    from_document,
    lengths,
    part,
    promise,
    whole,
)
from stream.settings import DAY_S, MONTH_S, ModelSettings

HOUR_S = 3_600
LAWS = tuple(Law(gap, 0.5 - gap / 10, 2.0) for gap in (1, 2, 4))
FOUND = Calibration(
    seed=0,
    pane_s=HOUR_S,
    panes=720,
    days=30,
    rows_a_pane=200.0,
    order="panes",
    windows=(WindowLaw(HOUR_S, LAWS), WindowLaw(DAY_S, LAWS)),
    features={"x": (1.0, 1.5), "y": (2.0, 3.0)},
    outputs={"prediction": (1.0, 1.25)},
)
SETTINGS = ModelSettings()


def test_a_document_says_all() -> None:
    document = msgspec.json.decode(msgspec.json.encode(FOUND.document()))
    assert from_document(document) == FOUND
    assert FOUND.inflation("y", "input", DAY_S) == 3.0
    assert FOUND.inflation("prediction", "output", DAY_S) == 1.25
    assert FOUND.inflation("prediction", "input", DAY_S) is None
    assert FOUND.inflation("y", "input", 2 * DAY_S) is None


@given(st.lists(st.sets(st.sampled_from(["x", "y", "z"])), min_size=1))
def test_parts_make_up_the_whole(groups: list[set[str]]) -> None:
    parts = [part(FOUND, group) for group in groups]
    found = from_document(whole(parts)["calibration"])
    named = set().union(*groups)
    expected = {name: x for name, x in FOUND.features.items() if name in named}
    assert found == msgspec.structs.replace(FOUND, features=expected)
    assert part(None, {"x"}) == {} == whole([{}])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("panes", 0, "must be of panes with rows"),
        ("rows_a_pane", 0.0, "must be of panes with rows"),
        ("features", {"x": [1.0]}, "must have 2 figures a feature"),
        ("features", {"x": [1.0, 0.0]}, "an inflation that is not above 0"),
        ("windows", [], "must have 0 figures a feature"),
        ("windows", [{"window_s": 1, "laws": []}] * 2, "lacks the law of gap 1"),
        ("windows", [{"window_s": 0, "laws": []}] * 2, "a window of no length"),
        ("windows", [{"window_s": 1, "laws": []}] * 9, "more than 8 windows"),
        ("pane_s", "hour", "Expected `int`"),
        ("more", 1, "unknown field `more`"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(key: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_document(FOUND.document() | {key: value})


def test_a_law_that_does_not_fall_is_refused() -> None:
    document = FOUND.document()
    document["windows"][0]["laws"][0]["slope"] = 0.0
    with pytest.raises(ValueError, match="a law that does not fall"):
        from_document(document)


@given(st.floats(1e-6, 0.5), st.floats(-5, 5), st.floats(0.1, 10))
def test_a_threshold_is_where_the_rate_is_reached(rate: float, start: float, slope: float) -> None:
    law = Law(1, start, slope)
    t = law.threshold(rate)
    assert law.rate(t) == pytest.approx(rate) if t > 0 else law.rate(0.0) <= rate


def test_the_law_is_that_of_how_long_alerts_stay() -> None:
    window = FOUND.windows[0]
    assert [window.law(clear).gap for clear in (1, 2, 3, 4, 100)] == [1, 2, 2, 4, 4]


def test_a_tenth_of_the_budget_is_reached_a_tenth_as_often() -> None:
    found = [allowance(FOUND, SETTINGS, DAY_S, month) for month in (1.0, 0.1)]
    assert found[0]
    assert found[1]
    assert found[0].expected(found[0].threshold) == pytest.approx(1.0)
    assert found[1].threshold - found[0].threshold == pytest.approx(math.log(10) / 2)


def test_no_evaluation_alarms_by_chance_more_often_than_significance_allows() -> None:
    found = allowance(FOUND, SETTINGS, DAY_S, 1e9)
    assert found
    assert found.expected(found.threshold) == pytest.approx(0.05 * MONTH_S / HOUR_S)


def test_what_is_not_calibrated_has_no_allowance() -> None:
    assert allowance(None, SETTINGS, DAY_S, 1.0) is None
    assert allowance(FOUND, SETTINGS, 2 * DAY_S, 1.0) is None
    assert allowance(FOUND, SETTINGS, DAY_S, 0.0) is None
    minutes = dataclasses.replace(SETTINGS, pane_s=120)
    assert allowance(FOUND, minutes, DAY_S, 1.0) is None


@given(st.floats(0.5, 100), st.floats(1, 1e6), st.floats(1, 1e6))
def test_denser_panes_never_have_less_in_common(inflation: float, live: float, rows: float) -> None:
    found = denser(inflation, live, rows)
    assert found >= inflation
    assert found == inflation if live <= rows or inflation <= 1 else True


@pytest.mark.parametrize(
    ("days", "budget", "kept", "said"),
    [
        (14, 1.0, False, "14d of reference, windows of 1d: 1 is not promised"),
        (30, 1.0, True, "a budget of 1 is kept, 0.1 is not promised"),
        (30, 0.5, False, "a budget of 1 is kept, 0.1 is not promised"),
        (90, 0.1, True, "a budget of 0.1 is kept"),
    ],
)
def test_what_a_reference_can_promise_is_said(
    days: int, budget: float, kept: bool, said: str
) -> None:
    found = msgspec.structs.replace(FOUND, panes=24 * days, days=days)
    settings = dataclasses.replace(SETTINGS, false_alarms_per_month=budget)
    answer, told = promise(found, settings)
    assert answer is kept
    assert told[0].endswith(said)


def test_what_is_uncalibrated_is_said() -> None:
    assert promise(None, SETTINGS) == (False, ["uncalibrated: no time order"])
    minutes = dataclasses.replace(SETTINGS, pane_s=120)
    assert promise(FOUND, minutes)[1] == ["uncalibrated: panes are of 2m, it was calibrated for 1h"]
    longer = dataclasses.replace(SETTINGS, windows_s=(DAY_S, 2 * DAY_S))
    assert promise(FOUND, longer)[1][1] == "uncalibrated: windows of 2d were not calibrated"


def test_a_pane_and_a_day_are_calibrated_beside_the_configured_windows() -> None:
    assert lengths(SETTINGS) == (HOUR_S, DAY_S)
    assert lengths(ModelSettings(pane_s=5_000, windows_s=(10_000,))) == (5_000, 10_000)
