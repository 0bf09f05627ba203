"""stream.sums: nothing is rounded before it is read."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import sums

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, max_size=60), st.integers(0, 60))
def test_a_sum_is_the_exact_one_wherever_it_was_split(values: list[float], cut: int) -> None:
    x = np.array(values, dtype=np.float64)
    whole = sums.exact_sum(x)
    assert Fraction(whole, 1 << sums.UNIT_BITS) == sum(map(Fraction, values), Fraction(0))
    assert whole == sums.exact_sum(x[:cut]) + sums.exact_sum(x[cut:])
    assert whole == sums.exact_sum(x[::-1])


@given(st.lists(st.floats(-(2.0**500), 2.0**500).filter(lambda x: not 0 < abs(x) < 2.0**-450)))
def test_squares_are_not_rounded(values: list[float]) -> None:
    x, signs = np.array(values, dtype=np.float64), np.ones(len(values), dtype=np.int64)
    signs[::3] = -1
    wanted = sum(
        (Fraction(v) ** 2 * int(sign) for v, sign in zip(values, signs, strict=True)), Fraction(0)
    )
    assert Fraction(sums.exact_square_sum(x, signs), 1 << sums.UNIT_BITS) == wanted
    assert sums.exact_square_sum(x, signs) == -sums.exact_square_sum(-x, -signs)


def test_more_than_a_block_and_the_ends_of_the_range() -> None:
    x = np.random.default_rng(1).normal(size=3 * sums.BLOCK + 5) * 10.0 ** np.arange(-5, 0).sum()
    assert sums.to_float(sums.exact_sum(x)) == math.fsum(x.tolist())
    ends = np.array([5e-324, 1.7e308, -1.7e308, 5e-324] * 50)
    assert sums.exact_sum(ends) == 100
    assert sums.exact_sum(np.empty(0)) == 0


@given(st.lists(st.floats(2.0**-300, 2.0**300), max_size=50))
def test_log_is_right_to_the_last_places(values: list[float]) -> None:
    x = np.array(values)
    expected = [math.log(v) for v in values]
    np.testing.assert_allclose(sums.log(x), expected, rtol=5e-16, atol=0)


@given(st.lists(st.floats(2.0**-40, 1.0), min_size=1, max_size=50), st.integers(0, 49))
def test_log_does_not_depend_on_the_neighbours(values: list[float], at: int) -> None:
    x = np.array(values)
    i = at % len(x)
    assert sums.log(x)[i] == sums.log(x[i : i + 1])[0]


@given(st.lists(st.integers() | st.integers(-(2**2000), 2**2000)), st.binary(max_size=9))
def test_integers_of_any_size_come_back(values: list[int], more: bytes) -> None:
    assert sums.decode(sums.encode(values, more), len(values)) == (values, more)


@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"sums|sum of"):
        sums.decode(raw, 7)


def test_impossible_sums_are_refused() -> None:
    for packed in ((10**6, 1), (-1, 1), (0, b"1" * 1000)):
        with pytest.raises(ValueError, match="a sum of"):
            sums.unpack(packed)
