"""The law of delays, beside the textbook's product over times, one prediction at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.delays import ends_of, kaplan_meier

WATCHED = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=60)
"""Of each prediction the age up to which it was watched, and whether its truth came then."""


def textbook(watched: list[tuple[int, bool]], at: int) -> float:
    """The share that is left at a time, by the definition: slow, and about single cases."""
    left = 1.0
    for time in sorted({t for t, came in watched if came and t <= at}):
        at_risk = sum(t >= time for t, _ in watched)
        came = sum(t == time and c for t, c in watched)
        left *= 1.0 - came / at_risk
    return left


@given(WATCHED)
def test_it_is_the_textbook_s(watched: list[tuple[int, bool]]) -> None:
    ends = ends_of(12)
    came, gone = (
        np.array([sum(t == e and c is kind for t, c in watched) for e in ends.tolist()])
        for kind in (True, False)
    )
    found = kaplan_meier(ends, came, gone)
    assert found.ends.tolist() == list(range(1, max(t for t, _ in watched) + 1))
    for end, left, risk in zip(found.ends, found.left, found.risk, strict=True):
        assert left == pytest.approx(textbook(watched, int(end)), abs=1e-12)
        assert risk == sum(t >= end for t, _ in watched)
    for share in (0.1, 0.5, 0.9):
        reached = [e for e in range(1, 13) if textbook(watched, e) <= 1 - share + 1e-9]
        in_reach = [e for e in reached if e <= max(t for t, _ in watched)]
        assert found.quantile(share) == min(in_reach, default=None)


def test_a_published_example() -> None:
    """Remission times of 21 patients on 6-mercaptopurine (Freireich et al. 1963), months."""
    came = {6: 3, 7: 1, 10: 1, 13: 1, 16: 1, 22: 1, 23: 1}
    gone = {6: 1, 9: 1, 10: 1, 11: 1, 17: 1, 19: 1, 20: 1, 25: 1, 32: 2, 34: 1, 35: 1}
    ends = np.arange(1, 36)
    counts = [np.array([some.get(e, 0) for e in ends.tolist()]) for some in (came, gone)]
    found = kaplan_meier(ends, *counts)
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {e: round(float(found.left[e - 1]), 3) for e in published} == published
    assert found.quantile(0.5) == 23
    assert found.quantile(0.9) is None


def test_nobody_says_nothing() -> None:
    none = np.zeros(3, dtype=np.int64)
    found = kaplan_meier(np.arange(1, 4), none, none)
    assert (len(found.ends), found.quantile(0.5)) == (0, None)


@given(st.integers(1, 40_000))
def test_bins_are_few_and_narrow(panes: int) -> None:
    ends = ends_of(panes).tolist()
    starts = [0, *ends[:-1]]
    assert ends[-1] == panes
    assert len(ends) <= 100
    assert all(s < e <= max(s + 1, s * 1.125) for s, e in zip(starts, ends, strict=True))
