"""stream.pulses: how many pulses are more than chance makes."""

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stream.pulses import (
    MOST,
    SHARE,
    PulseLaw,
    causes,
    in_one_line,
    laws_of,
    level_of_pulses,
    month_of,
    rest,
)
from stream.settings import MONTH_S, DetectorSettings, ModelSettings

ADWIN = DetectorSettings("ADWIN", "x")
KSWIN = DetectorSettings("KSWIN", "x", parameters={"alpha": 0.01})
SETTINGS = ModelSettings(detectors=(ADWIN, KSWIN), false_alarms_per_month=2.0)


def law(of: DetectorSettings = ADWIN, pulses: float = 30.0, dispersion: float = 1.0) -> PulseLaw:
    return PulseLaw(in_one_line(of), SETTINGS.evidence_s, 30_000, pulses, dispersion)


@given(st.integers(1, 40), st.integers(0, 100), st.integers(1, 100_000))
def test_the_law_is_the_negative_binomial_of_a_rate_that_is_not_known(
    count: int, pulses: int, rows: int
) -> None:
    expected = stats.nbinom.sf(count - 1, pulses + 0.5, 30_000 / (30_000 + rows))
    assert law(pulses=pulses).p_value(count, rows) == pytest.approx(expected, rel=1e-6, abs=1e-300)


@given(st.floats(0, 500), st.floats(1, 9), st.integers(1, 50), st.integers(1, 100_000))
def test_more_pulses_are_rarer_and_more_rows_make_them_less_so(
    pulses: float, dispersion: float, count: int, rows: int
) -> None:
    found = law(pulses=pulses, dispersion=dispersion)
    assert found.p_value(count + 1, rows) <= found.p_value(count, rows)
    assert found.p_value(count, 2 * rows) >= found.p_value(count, rows)
    assert found.p_value(0, rows) == found.p_value(count, 0) == 1.0


@given(st.floats(0, 500), st.floats(1, 9), st.floats(1e-8, 0.5), st.integers(1, 100_000))
def test_an_alarm_begins_where_the_level_is_reached(
    pulses: float, dispersion: float, level: float, rows: int
) -> None:
    found = law(pulses=pulses, dispersion=dispersion)
    least = found.alarm_from(level, rows)
    assert found.p_value(least, rows) <= level or least >= MOST
    assert found.p_value(least - 1, rows) > level


def test_pulses_in_clusters_say_less() -> None:
    even, uneven = law(dispersion=1.0), law(dispersion=3.0)
    assert even.expected(1_000) == uneven.expected(1_000) == 1.0
    assert uneven.alarm_from(1e-4, 1_000) > even.alarm_from(1e-4, 1_000)


def test_a_law_is_of_a_detector_as_it_was_rehearsed() -> None:
    known = dict(zip(causes(SETTINGS), (law(ADWIN), law(KSWIN)), strict=True))
    assert laws_of(known, SETTINGS) == known
    other = dataclasses.replace(KSWIN, parameters={"alpha": 0.001})
    changed = dataclasses.replace(SETTINGS, detectors=(ADWIN, other))
    assert list(laws_of(known, changed)) == ["detector:ADWIN:x"]
    assert laws_of(known, dataclasses.replace(SETTINGS, evidence_s=3_600)) == {}
    assert laws_of({}, SETTINGS) == {}


def test_all_detectors_spend_their_share_of_the_budget_and_leave_the_rest() -> None:
    known = dict(zip(causes(SETTINGS), (law(ADWIN), law(KSWIN)), strict=True))
    assert month_of(known, SETTINGS) * 2 == SHARE * 2.0
    assert rest(known, SETTINGS) == 1 - SHARE
    assert rest({}, SETTINGS) == 1.0
    level = level_of_pulses(known, SETTINGS)
    assert level * MONTH_S / SETTINGS.pane_s == pytest.approx(month_of(known, SETTINGS))
    many = dataclasses.replace(SETTINGS, false_alarms_per_month=1e9)
    assert level_of_pulses(known, many) == many.significance


def test_a_law_comes_through_plain_values() -> None:
    found = law(KSWIN, 12.5, 1.25)
    assert msgspec.convert(msgspec.to_builtins(found), PulseLaw) == found
