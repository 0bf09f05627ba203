"""Times and lengths of time in words."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import stamps
from stream.events import rfc3339
from stream.events.times import FIRST_MS, LAST_MS

UNIT_S = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


def test_the_examples_hold() -> None:
    assert doctest.testmod(stamps).failed == 0


@given(st.integers())
def test_no_time_is_too_far_to_be_written(ms: int) -> None:
    assert stamps.stamp(ms) == rfc3339(min(max(ms, FIRST_MS), LAST_MS))


@given(st.integers(1, 10**9))
def test_a_span_says_exactly_how_long(seconds: int) -> None:
    count, unit = stamps.span(seconds).split(" ")
    assert int(count.replace(",", "")) * UNIT_S[unit.removesuffix("s")] == seconds
    assert (count == "1") != unit.endswith("s")


@pytest.mark.parametrize(
    ("seconds", "words", "short"),
    [
        (86_400, "1 day", "1d"),
        (604_800, "7 days", "7d"),
        (3_600, "1 hour", "1h"),
        (61, "61 seconds", "61s"),
    ],
)
def test_the_largest_unit_that_divides_is_used(seconds: int, words: str, short: str) -> None:
    assert (stamps.span(seconds), stamps.short(seconds)) == (words, short)
