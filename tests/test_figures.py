import doctest

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stream import figures

NUMBERS = st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-6)


def test_the_examples_of_the_docs_run() -> None:
    assert doctest.testmod(figures).failed == 0


@given(NUMBERS)
def test_a_number_is_written_to_three_figures_without_an_exponent(x: float) -> None:
    text = figures.number(x)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(x, rel=0.0051, abs=1e-9)


@given(NUMBERS, NUMBERS)
def test_a_pair_that_differs_reads_differently(a: float, b: float) -> None:
    assume(a == b or abs(a - b) > 1e-6)
    one, two = figures.pair(a, b)
    assert (one == two) == (a == b)
    assert len(one.partition(".")[2]) == len(two.partition(".")[2])


@given(st.floats(allow_nan=False))
def test_whatever_the_number_the_text_stays_short(x: float) -> None:
    assert len(figures.number(x)) <= 24


@given(st.floats(1e-300, 1))
def test_chance_is_never_overstated(p: float) -> None:
    text = figures.chance(p)
    if "million" not in text and "more" not in text:
        assert p <= 1 / int(text.rsplit(" ", 1)[1].replace(",", ""))
