"""stream.minimums: with the rows that are needed, changes as large as the floor are found."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stream import categories, minimums, ranks
from stream.checks import check_share, measure
from stream.columns import Column, Floats, column_of
from stream.features import FeatureReference, summarise
from stream.grades import Grade
from stream.measures import Comparison
from stream.outcomes import outcomes
from stream.quality import METRICS
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.tallies import Tally
from tests.test_checks import main

SETTINGS = ModelSettings()
LEVELS = (1e-2, 1e-4)
TIMES = 100
POWER = 0.8
NOISE = 3 * math.sqrt(POWER * (1 - POWER) / TIMES)
Draw = Callable[[np.random.Generator, int], Floats]
NUMBERS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.random(n),
    "two humps": lambda rng, n: rng.normal(size=n) + 4.0 * (rng.random(n) < 0.5),
    "heavy tails": lambda rng, n: rng.standard_t(3, n),
    "counts": lambda rng, n: rng.poisson(9, n).astype(np.float64),
}


def found(f: FeatureReference, live: Floats, level: float) -> bool:
    gap = ranks.ks_two_sample(f.counts[: f.cells], f.counts_of(Column(live))[: f.cells])
    return gap.p_value <= level


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_shift_as_large_as_the_floor_is_found_as_often_as_said(name: str, level: float) -> None:
    """At least: what is worked out is a bound. At a third of the rows it is not found so often."""
    rng, draw = np.random.default_rng(17), NUMBERS[name]
    f = summarise("x", Column(draw(rng, 20_000)))
    shift = 0.2 * f.sd
    gap = minimums.gap_of_floor(f, 0.2, "reference standard deviations")
    rows = minimums.in_window(minimums.for_gap(gap, level, POWER), f.rows)
    step = (lambda n: rng.random(n) < shift) if name == "counts" else lambda _: shift
    often, seldom = (
        np.mean([found(f, draw(rng, n) + step(n), level) for _ in range(TIMES)])
        for n in (rows, rows // 3)
    )
    assert often >= POWER - NOISE
    assert seldom <= POWER - NOISE


@pytest.mark.parametrize(
    ("others", "share", "level"), [(1, 0.02, 1e-2), (1, 0.5, 1e-4), (6, 0.3, 1e-4)]
)
def test_a_change_of_a_share_is_found_as_often_as_said(
    others: int, share: float, level: float
) -> None:
    rng, change = np.random.default_rng(18), SETTINGS.effect_floor_share
    before = np.array([share, *[(1 - share) / others] * others])
    after = np.array([share + change, *[(1 - share - change) / others] * others])
    names = [f"c{i}" for i in range(others + 1)]
    counts = np.random.default_rng(19).multinomial(30_000, before)
    f = summarise("x", column_of(np.repeat(names, counts).tolist()))
    c = Comparison(f, np.append(counts, [0, 0])[: f.width], SETTINGS)
    rows = minimums.rows_needed(measure(c, "chi-square"), level)
    assert rows is not None
    known = np.append(counts, 0)

    def power(n: int) -> float:
        live = (np.append(rng.multinomial(n, after), 0) for _ in range(TIMES))
        return float(np.mean([categories.chi_square(known, x).p_value <= level for x in live]))

    assert power(rows) >= POWER - NOISE
    # the hardest of all shares decides, which is not the one that changed
    assert minimums.for_share(share, change, others, level, POWER) <= rows


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("was", [0.6, 0.9, 0.99])
def test_a_fall_of_accuracy_is_found_as_often_as_said(was: float, level: float) -> None:
    rng = np.random.default_rng(20)
    right = column_of(["a"])

    def reading(n: int, hits: int) -> tuple[str, int]:
        tally = Tally()
        for answer, times in (("a", hits), ("b", n - hits)):
            rows = np.zeros(times, dtype=np.int64)
            tally.update(outcomes(right.take(rows), column_of([answer]).take(rows)))
        r = Grade(METRICS["accuracy"], tally, was, None, level, SETTINGS).reading()
        return r.verdict, int(str(r.details["rows_needed"]))

    n = reading(1_000, 900)[1]
    fallen = rng.binomial(n, was - SETTINGS.effect_floor_quality, TIMES)
    verdicts = [reading(n, int(hits))[0] for hits in fallen]
    assert "not-enough-data" not in verdicts
    # half of the time what is seen of a change as large as the floor is a little below it
    assert np.mean([v in ("moved", "small") for v in verdicts]) >= POWER - NOISE


def test_a_rise_of_a_loss_is_found_as_often_as_said() -> None:
    rng, level, n = np.random.default_rng(21), 1e-3, 0
    seen = []
    for _ in range(TIMES):
        label = rng.normal(size=n or 500)
        tally = Tally()
        tally.update(outcomes(Column(label), Column(label + 1.05 * rng.normal(size=len(label)))))
        r = Grade(METRICS["mae"], tally, math.sqrt(2 / math.pi), None, level, SETTINGS).reading()
        n = n or int(str(r.details["rows_needed"]))
        seen.append(r.p_value is not None and r.p_value <= level)
    assert n > 1_000
    assert abs(np.mean(seen[1:]) - POWER) <= NOISE + 0.02


@given(st.floats(0.01, 0.5), st.floats(1e-8, 0.2), st.floats(0.1, 0.95), st.floats(1, 50))
def test_more_is_needed_for_less(gap: float, level: float, power: float, inflation: float) -> None:
    rows = minimums.for_gap(gap, level, power)
    assert minimums.for_gap(gap / 2, level, power) == pytest.approx(4 * rows)
    assert minimums.for_gap(gap, level / 10, power) > rows
    assert minimums.for_gap(gap, level, power + 0.04) >= rows
    shares = minimums.for_share(0.3, gap / 2, 3, level, power)
    assert minimums.for_share(0.3, gap / 2, 3, level / 10, power) > shares
    assert minimums.in_window(rows * inflation, 10**9) >= minimums.in_window(rows, 10**9)


@given(st.integers(2, 40), st.floats(0.01, 2.0))
def test_a_shift_is_as_long_as_said_where_values_lie_apart(places: int, distance: float) -> None:
    """Steps of one, equal shares: a part of each goes to the next, and makes up the distance."""
    f = summarise("x", Column(np.repeat(np.arange(places) * 1.5, 7)))
    if f.kind != "number":
        return
    gap = minimums.gap_of_shift(f, distance)
    whole = distance / 1.5 / (places - 1)  # of all rows, a step
    assert min(1.0, whole) - 1e-9 <= gap <= 1.0


def test_the_share_of_a_change_of_two_is_that_of_the_textbook() -> None:
    """Cohen (1988), table 7.3.16: w = .3, one degree of freedom, level .05, power .80: 87 rows."""
    w = 0.3
    rows = minimums.for_share(0.5, w * 0.5, 1, 0.05, 0.8)
    assert round(rows) == 87
    nc = stats.ncx2.sf(stats.chi2.isf(0.05, 1), 1, 87 * w * w)
    assert nc == pytest.approx(0.8, abs=0.005)


def test_of_rows_that_resemble_each_other_more_are_needed() -> None:
    x = np.random.default_rng(22).normal(size=50_000)
    f = summarise("x", Column(x))
    m = measure(Comparison(f, f.counts_of(Column(x[:5_000])), SETTINGS), "ks")
    alone, alike = (minimums.rows_needed(m, 1e-3, by) for by in (1.0, 5.0))
    assert alone is not None
    assert alike is not None
    assert 5 * alone <= alike < 7 * alone


def test_what_no_window_can_see_asks_for_the_references_rows_and_no_more() -> None:
    f = summarise("x", Column(np.random.default_rng(23).normal(size=300)))
    m = measure(Comparison(f, f.counts, SETTINGS), "ks")
    assert minimums.rows_needed(m, 1e-3) == 300
    for changed in ({"power": 0.0}, {"effect_floor_sd": 0.0}):
        plain = dataclasses.replace(SETTINGS, **changed)  # type: ignore[arg-type]
        m = measure(Comparison(f, f.counts, plain), "ks")
        assert minimums.rows_needed(m, 1e-3) is None


def test_missing_values_and_words_have_a_minimum_of_their_own() -> None:
    rng = np.random.default_rng(24)
    x = rng.normal(size=20_000)
    reference = Reference.build("m", "1", {"x": Column(x)})
    live = column_of([None] * 4 + ["n/a"] * 4 + x[:292].tolist())
    share = Share(reference)
    share.update({"x": live}, None, None, np.arange(300))
    readings = {r.check: r for r in check_share(reference, share, 1e-3, SETTINGS)}
    assert {"ks", "missing", "type"} <= readings.keys()
    needed = {check: int(str(r.details["rows_needed"])) for check, r in readings.items()}
    assert max(needed["missing"], needed["type"]) < needed["ks"]
    assert readings["ks"].verdict == "not-enough-data"


def test_a_constant_that_should_stay_one_needs_few_rows() -> None:
    f = summarise("x", Column(np.full(5_000, 7.5)))
    reading = main(Comparison(f, f.counts_of(Column(np.full(900, 7.5))), SETTINGS), 1e-3)
    assert reading.verdict in ("ok", "not-enough-data")
    assert int(str(reading.details["rows_needed"])) < 5_000
