"""Panes cover event time without gap or overlap."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.panes import pane_of, panes_of, window_panes

times = st.integers(-(2**60), 2**60)
lengths = st.integers(1, 2**40)


@given(times, lengths)
def test_a_time_lies_in_its_pane(time_ms: int, pane_ms: int) -> None:
    pane = pane_of(time_ms, pane_ms)
    assert pane % pane_ms == 0
    assert pane <= time_ms < pane + pane_ms


@given(st.lists(times), lengths)
def test_arrays_give_the_same(some: list[int], pane_ms: int) -> None:
    found = panes_of(np.array(some, dtype=np.int64), pane_ms).tolist()
    assert found == [pane_of(t, pane_ms) for t in some]


def test_a_window_is_the_panes_that_end_with_it() -> None:
    assert list(window_panes(60, 30, 10)) == [30, 40, 50]
