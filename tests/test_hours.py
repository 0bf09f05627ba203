"""Hours: which one a time is in, and tables that come through JSON or are refused."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.columns import Column
from stream.features import from_document, summarise
from stream.hours import Hours, hour_of, hours_of
from stream.seasons import tabulated
from stream.settings import ModelSettings

X = Column(np.random.default_rng(1).normal(size=960))
AT = np.arange(960) % 24


@given(st.integers(0, 4_102_444_800_000))
def test_hours_are_those_of_the_calendar(time_ms: int) -> None:
    moment = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC)
    assert hour_of(time_ms, "hour-of-day") == moment.hour
    assert hour_of(time_ms, "hour-of-week") == moment.weekday() * 24 + moment.hour
    assert hours_of(np.array([time_ms]), "hour-of-week").tolist() == [
        moment.weekday() * 24 + moment.hour
    ]


def test_hours_come_through_a_document() -> None:
    plain = summarise("x", X)
    found = tabulated(plain, X, AT, 24, 8)
    assert found.season == "hour-of-day"
    again = Hours.from_document(found.document(), plain.cells, plain.width)
    assert again.ends.tolist() == found.ends.tolist()
    assert again.counts.tolist() == found.counts.tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ends": "x"}, "no tables of numbers"),
        ({"ends": [[1], [1, 2]]}, "no tables of numbers"),
        ({"ends": [[1]] * 5, "counts": [[1] * 5] * 5}, "of another form"),
        ({"counts": [[1] * 3] * 24}, "counts are not 2 cells"),
        ({"counts": [[-1] * 5] * 24}, "wrong count"),
        ({"ends": [[10_000]] * 24}, "ends at no code"),
        ({"ends": [[4, 2]] * 24, "counts": [[1] * 6] * 24}, "cells that fall"),
        ({"more": 1}, "no tables of numbers"),
    ],
)
def test_wrong_hours_are_refused_in_words(change: dict[str, Any], said: str) -> None:
    document = summarise("x", X).document()
    hours = {"ends": [[4]] * 24, "counts": [[1] * 5] * 24}
    assert from_document("x", document | {"hours": hours}).hours is not None
    with pytest.raises(ValueError, match=f"reference of 'x' has hours .*{said}"):
        from_document("x", document | {"hours": hours | change})


@pytest.mark.parametrize("pane_s", [7_200, 86_400, 2_700])
def test_panes_that_have_no_hour_are_refused_in_words(pane_s: int) -> None:
    with pytest.raises(ValueError, match=f"seasonality = 'hour-of-day': .*pane_s = {pane_s}"):
        ModelSettings(pane_s=pane_s, windows_s=(pane_s * 24,), seasonality="hour-of-day")
    ModelSettings(pane_s=900, seasonality="hour-of-week")
