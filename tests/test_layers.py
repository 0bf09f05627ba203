"""stream.layers: added up over layers, beside the log-rank test and one table alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream.layers import layered

TIMES = st.lists(st.integers(1, 8), min_size=5, max_size=40)


@settings(max_examples=40, deadline=None)
@given(TIMES, TIMES, st.integers(1, 8))
def test_with_ages_as_layers_it_is_the_log_rank_test(
    first: list[int], second: list[int], watched: int
) -> None:
    """Those that take longer than they are watched are censored."""
    x, y = np.array(first), np.array(second)
    if not (np.concatenate([x, y]) <= watched).any():
        return
    ages = np.arange(1, watched + 1)
    hits = [(some[:, None] == ages).sum(axis=0) for some in (x, y)]
    rows = [(some[:, None] >= ages).sum(axis=0) for some in (x, y)]
    found = layered(hits[0], rows[0], hits[1], rows[1])
    known = [
        stats.CensoredData(
            uncensored=some[some <= watched], right=np.full((some > watched).sum(), watched)
        )
        for some in (x, y)
    ]
    if found.variance > 0:
        expected = stats.logrank(known[0], known[1])
        assert float(found.z) == pytest.approx(float(expected.statistic), abs=1e-9)
    else:
        assert float(found.z) == 0.0


def test_several_samples_are_compared_at_once() -> None:
    hits, rows = np.array([[3, 1], [5, 0], [2, 4]]), np.array([[9, 4], [8, 8], [7, 7]])
    found = layered(hits, rows, hits.sum(axis=0) - hits, rows.sum(axis=0) - rows)
    one = layered(hits[1], rows[1], hits[0] + hits[2], rows[0] + rows[2])
    assert found.z.shape == (3,)
    assert float(found.z[1]) == pytest.approx(float(one.z))


def test_a_layer_that_only_one_sample_has_says_nothing() -> None:
    both = layered(np.array([3]), np.array([9]), np.array([8]), np.array([10]))
    more = layered(np.array([3, 7]), np.array([9, 7]), np.array([8, 0]), np.array([10, 0]))
    assert float(more.z) == pytest.approx(float(both.z))
