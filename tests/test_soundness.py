import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream import soundness
from stream.columns import Column, Value, column_of
from stream.events import Reading
from stream.features import summarise
from stream.measures import Comparison, Measure
from stream.settings import ModelSettings

RNG = np.random.default_rng(4)
SPEEDS = RNG.normal(50, 10, 2_000)


def comparison(known: Column, live: Column, *new: str) -> Comparison:
    feature = summarise("x", known)
    return Comparison(feature, feature.counts_of(live), ModelSettings(), new_names=new)


def significant(m: Measure) -> bool:
    assert m.p_value is not None
    assert m.effect is not None
    return m.p_value < 1e-4 and m.effect.value >= (m.effect.floor or 0)


def test_nothing_is_due_where_all_is_as_it_was() -> None:
    assert soundness.due(comparison(column_of(SPEEDS), column_of(SPEEDS[::-1]))) == []
    colours = column_of(["red", "blue"] * 500)
    assert soundness.due(comparison(colours, colours)) == []


def test_what_is_wrong_is_due() -> None:
    known = column_of(SPEEDS)
    words: list[Value] = ["n/a", *SPEEDS.tolist()]
    for expected, live in (
        (["missing"], [None, *SPEEDS]),
        (["missing"], [float("inf"), *SPEEDS]),
        (["type"], words),
        (["constant"], [SPEEDS[7]] * 200),
        (["range"], [*SPEEDS, *[500.0] * 50]),
        ([], [500.0] * 50),  # too few to say more
    ):
        assert soundness.due(comparison(known, column_of(live))) == expected
    colours = column_of(["red", "blue"] * 500)
    assert soundness.due(comparison(colours, column_of(["red"] * 300))) == ["constant"]
    assert soundness.due(comparison(colours, column_of(["red", "blue", "pink"] * 90))) == [
        "new-category"
    ]


def test_words_where_numbers_were() -> None:
    live: list[Value] = ["fast" if i % 4 == 0 else x for i, x in enumerate(SPEEDS.tolist())]
    found = soundness.typed(comparison(column_of(SPEEDS), column_of(live)))
    assert significant(found)
    assert found.what == "x: words where numbers were rose 0% -> 25.0% (500 of 2,000 rows)"


def test_out_of_the_range() -> None:
    usual = np.linspace(10, 90, 2_000)
    live = np.concatenate([usual, np.full(150, 400.0), np.full(50, -3.0)])
    found = soundness.outside(comparison(column_of(usual), column_of(live)))
    assert significant(found)
    assert found.what == (
        "x: 9.1% of 2,200 values outside the reference's 10 to 90 (50 below, 150 above)"
    )
    assert (found.details["below"], found.details["direction"]) == (50, "up")


@pytest.mark.parametrize(("n", "m"), [(100, 150), (2_000, 100), (50, 5_000)])
def test_how_many_lie_outside_by_chance(n: int, m: int) -> None:
    """The number outside is beta-binomial: two of m + 1 equally likely intervals."""
    oracle = stats.betabinom(n, 2, m - 1)
    for outer in (1, 2, 5, 20, n):
        tail = oracle.pmf(np.arange(outer, n + 1)).sum()
        assert soundness.exceedance(n, m, outer) == pytest.approx(tail, rel=1e-6)
    assert soundness.exceedance(n, m, 0) == soundness.exceedance(n, 1, 3) == 1


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.floats(0, 1))
def test_whatever_the_sizes_it_is_a_chance(n: int, m: int, share: float) -> None:
    assert 0 <= soundness.exceedance(n, m, int(n * share)) <= 1


def test_new_names_are_told_with_their_rows() -> None:
    colours, live = (
        column_of(["red", "blue"] * 500),
        column_of(["red", "pink", "blue", "blue"] * 50),
    )
    found = soundness.new_category(comparison(colours, live, "pink"))
    assert significant(found)
    assert found.what == "x: not in the reference: pink, 50 of 200 rows"
    numbers = soundness.new_category(comparison(colours, column_of(["7", "red"] * 90), "7"))
    assert numbers.what == "x: numbers where words were: 7, 90 of 180 rows"


def test_a_reference_with_rare_names_expects_more_of_them() -> None:
    """Of names that come and go a window brings new ones whatever happens."""
    rng = np.random.default_rng(1)
    p = []
    for _ in range(200):
        known, live = (column_of([f"c{c}" for c in rng.zipf(1.7, n)]) for n in (3_000, 300))
        found = soundness.new_category(comparison(known, live))
        p.append(found.p_value or 0)
    assert np.mean(np.array(p) < 0.05) < 0.1
    assert np.mean(np.array(p) < 0.001) < 0.01


def test_one_value_in_all_rows() -> None:
    found = soundness.constant(comparison(column_of(np.round(SPEEDS)), column_of([50.0] * 150)))
    assert significant(found)
    assert found.what.startswith("x: 50 in all 150 rows, in ")
    colours = column_of(["red"] * 995 + ["blue"] * 5)
    usual = soundness.constant(comparison(colours, column_of(["red"] * 150)))
    assert usual.p_value == pytest.approx(0.995**150)
    assert not significant(usual)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=6), st.integers(1, 4))
@settings(deadline=None)
def test_one_value_in_all_rows_is_as_likely_as_that(sizes: list[int], n: int) -> None:
    names = [name for name, size in zip("abcdef", sizes, strict=False) for _ in range(size)]
    found = soundness.constant(comparison(column_of(names), column_of(["a"] * n)))
    shares = np.array(sizes) / sum(sizes)
    assert found.p_value == pytest.approx((shares**n).sum())


def test_features_that_are_missing_together_are_named() -> None:
    def holes(name: str, missing: int) -> Measure:
        feature = summarise(name, column_of(SPEEDS))
        counts = feature.counts_of(column_of([None] * missing + SPEEDS.tolist()))
        one = Comparison(feature, counts, ModelSettings())
        return Measure("missing", one, 2_000 + missing, 2_000, name)

    found = soundness.together([holes("a", 40), holes("b", 41), holes("c", 40), holes("d", 3)])
    assert [m.what for m in found] == [
        "a; as many missing in c", "b", "c; as many missing in a", "d",
    ]  # fmt: skip
    assert found[0].details["together_with"] == ["c"]


def test_of_two_readings_of_a_feature_the_one_that_moved_speaks() -> None:
    def reading(check: str, verdict: str) -> Reading:
        return Reading(check=check, subject="x", role="data", n=1, verdict=verdict, reason="")  # type: ignore[arg-type]

    quiet, moved = reading("missing", "ok"), reading("type", "moved")
    unknown = reading("type", "not-enough-data")
    assert soundness.telling(quiet, moved) is soundness.telling(moved, quiet) is moved
    assert soundness.telling(unknown, quiet) is quiet
    assert soundness.telling(quiet, reading("type", "ok")) is quiet
    assert soundness.faults([quiet, reading("range", "moved")]) == [quiet]
    assert soundness.without_notices([quiet, reading("range", "moved")]) == [quiet]


def test_the_examples_of_the_docs_run() -> None:
    assert doctest.testmod(soundness).failed == 0
