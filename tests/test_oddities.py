"""stream.oddities: a stint beside those before, of any size, and what chance does to it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.columns import Ints
from stream.oddities import Beside, Oddity, oddity

LEVEL = 0.01 / 60


def days(factors: list[float], rows: int = 1_000, share: float = 0.1) -> tuple[Ints, Ints]:
    """Hits of two ages by day, shape (days, 2), and rows."""
    hits = np.array([[rows * share * f, rows * share / 2 * f] for f in factors]).astype(np.int64)
    return hits, np.full_like(hits, rows)


def beside(now: float, before: list[float], *, odds: bool = False) -> Oddity:
    (hits,), (rows,) = days([now])
    return oddity(hits, rows, those(*days(before)), LEVEL, odds=odds)


def those(hits: Ints, rows: Ints) -> Beside:
    """All of one kind."""
    return Beside(hits, rows, np.zeros(len(hits), dtype=np.int64), 0)


EVEN = [1.0, 1.04, 0.97, 1.01, 0.98, 1.03, 0.96, 1.0, 1.02, 0.99, 1.03, 0.98, 1.01, 0.97]
RESTLESS = [1.0, 1.4, 0.7, 1.2, 0.8, 1.3, 0.75, 1.1, 1.35, 0.7, 1.0, 0.9, 1.25, 0.8]


@pytest.mark.parametrize("odds", [False, True])
def test_half_is_as_odd_as_double_where_all_days_were_alike(odds: bool) -> None:
    low, high = (beside(now, EVEN, odds=odds) for now in (0.5, 2.0))
    assert low.sure
    assert high.sure
    assert low.t < 0 < high.t
    assert not beside(1.05, EVEN, odds=odds).sure


def test_it_takes_more_where_days_differ_anyway() -> None:
    assert not beside(2.0, RESTLESS).sure
    assert beside(2.0, RESTLESS).inflation > 5 * beside(2.0, EVEN).inflation
    assert beside(8.0, RESTLESS).sure


def test_what_was_odd_before_is_one_more_day_that_differs() -> None:
    """Passed over, the next of its kind would be as odd as the first."""
    assert beside(3.0, EVEN).sure
    assert not beside(3.0, [*EVEN[:7], 3.0, *EVEN[7:]]).sure


def test_a_series_that_wanders_is_compared_with_where_it_was() -> None:
    """Five percent more every day: the next step is no news, all the way back at once is."""
    steps = [1.05**i * (1.01 if i % 3 else 0.99) for i in range(30)]
    assert not beside(1.05**30, steps).sure
    assert beside(1.0, steps).sure


def test_few_rows_are_odd_by_chance() -> None:
    found = oddity(np.array([0, 1]), np.array([40, 40]), those(*days(EVEN)), LEVEL, odds=False)
    assert abs(found.away) > 1.25 * found.widest
    assert not found.sure


def test_an_age_that_only_one_side_has_says_nothing() -> None:
    (hits,), (rows,) = days([2.0])
    was, of = days(EVEN)
    plain = oddity(hits, rows, those(was, of), LEVEL, odds=False)
    wider = those(*(np.column_stack([some, 0 * some[:, 0]]) for some in (was, of)))
    more = oddity(np.append(hits, 500), np.append(rows, 900), wider, LEVEL, odds=False)
    assert (more.t, more.z) == pytest.approx((plain.t, plain.z))


def test_a_weekday_is_compared_with_its_like_where_weeks_are_known() -> None:
    """Two of seven days bring a third of it, as ever; half of what a weekday brings is news."""
    week = [1.02, 0.98, 1.01, 0.99, 1.0, 0.31, 0.3]
    hits, rows = days([f * g for g in (1.0, 1.03, 0.97, 1.01) for f in week])
    weekdays = np.arange(28) % 7
    (half,), (of,) = days([0.5])
    assert not oddity(half, of, those(hits, rows), LEVEL, odds=False).sure
    assert oddity(half, of, Beside(hits, rows, weekdays, 0), LEVEL, odds=False).sure
    (third,), _ = days([0.31])
    assert not oddity(third, of, Beside(hits, rows, weekdays, 5), LEVEL, odds=False).sure


def test_where_few_come_as_ever_chance_varies_more() -> None:
    """The share of a weekend day is as sure as its own hits are many, not those of a weekday."""
    week = [1.0, 1.02, 0.98, 1.01, 0.99, 0.02, 0.02]
    hits, rows = days([f for _ in range(4) for f in week])
    (one,), (of,) = days([0.06])
    found = oddity(one, of, Beside(hits, rows, np.arange(28) % 7, 5), LEVEL, odds=False)
    assert found.away > 1.0
    assert not found.sure


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from((7, 12, 40)), st.booleans(), st.booleans())
def test_whatever_the_counts_are_there_are_figures(
    seed: int, k: int, odds: bool, strange: bool
) -> None:
    """Also where a line is held by one strange day, or nothing came at all."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, 10 ** random.integers(1, 7), size=(k + 1, 3))
    hits = random.binomial(rows, random.choice([0.0, 0.001, 0.5, 1.0], size=3))
    if strange:
        hits[k - 1] = rows[k - 1] - hits[k - 1]
    found = oddity(hits[k], rows[k], those(hits[:k], rows[:k]), LEVEL, odds=odds)
    assert np.isfinite(dataclasses.astuple(found)).all()
    assert 0.0 <= found.p_value <= 1.0
