"""Discrepancies: against slow formulas, an exact law, and how often chance is called a change."""

import numpy as np
import pytest
from scipy import stats

from stream.columns import Column, Floats
from stream.discrepancies import (
    CELLS,
    Moments,
    discrepancy,
    moments_of,
    moments_of_windows,
    waves,
)
from stream.wholes import DIRECTIONS, Whole, learnt

SIZE = 6


def whole_of(values: Floats) -> Whole:
    found = learnt("v", [Column(x) for x in values.T], values.mean(axis=0), values.std(axis=0))
    assert found is not None
    return found


def rows_of(whole: Whole, values: Floats) -> Floats:
    """Each row's waves."""
    return np.array([waves(whole.counts_of([Column(x) for x in row[:, None]])) for row in values])


def test_the_statistic_is_the_squared_maximum_mean_discrepancy_of_its_kernel() -> None:
    """By all pairs of rows, as Gretton et al. (2012) define the biased estimate."""
    random = np.random.default_rng(1)
    known, live = random.normal(size=(60, SIZE)), random.normal(0.5, 1, size=(40, SIZE))
    whole = whole_of(known)
    a, b = rows_of(whole, known), rows_of(whole, live)
    squared = (a @ a.T).mean() - 2 * (a @ b.T).mean() + (b @ b.T).mean()
    live_counts = whole.counts_of([Column(x) for x in live.T])
    found = discrepancy(whole.counts, live_counts, 0.0, whole.breadth)
    assert found.statistic == pytest.approx(squared * 60 * 40 / 100)


def test_its_kernel_is_nearly_gaussian() -> None:
    """Of whitened vectors, and exp(-d**2 / 2 / breadth) of their distance d."""
    random = np.random.default_rng(2)
    values = random.normal(size=(5_000, SIZE))
    whole = whole_of(values)
    some = rows_of(whole, values[:200])
    kernel = some @ some.T / DIRECTIONS
    squares = ((values[:200, None] - values[None, :200]) ** 2).sum(axis=2)
    assert np.abs(kernel - np.exp(-squares / 2 / SIZE)).mean() < 0.1  # 64 directions: 1 / 8


def test_moments_are_those_of_the_covariance() -> None:
    random = np.random.default_rng(4)
    weights = np.array([3.0, 1.0, 1.0, 0.5, 0.2])
    found = moments_of(random.normal(size=(20_000, 5)) * np.sqrt(weights))
    assert found is not None
    got = (found.first, found.second, found.third)
    assert got == pytest.approx([(weights**k).sum() for k in (1, 2, 3)], rel=0.2)
    assert found.known == pytest.approx(found.freedom * 19_999)
    assert moments_of(np.zeros((50, 3))) is None
    assert moments_of(random.normal(size=(7, 3))) is None


@pytest.mark.parametrize("weights", [[1.0] * 8, [5.0, *[0.5] * 20], [1.0, 0.5, 0.25, 0.125]])
def test_the_tail_is_that_of_a_sum_of_squared_normals(weights: list[float]) -> None:
    """Against the sum itself, drawn 400,000 times; the tail is right to a third of itself."""
    random, w = np.random.default_rng(5), np.array(weights)
    drawn = sum(x * random.normal(size=400_000) ** 2 for x in weights)
    first, second, third = (float((w**k).sum()) for k in (1, 2, 3))
    moments = Moments(first, second, third, 1e9)
    for p in (0.1, 0.01, 0.001):
        at = float(np.quantile(drawn, 1 - p))
        assert moments.chance(at) == pytest.approx(p, rel=0.33)
        assert moments.chance(moments.critical(p)) == pytest.approx(p, rel=1e-3)


def test_with_one_figure_and_few_windows_it_is_students_law() -> None:
    moments = Moments(1.0, 1.0, 1.0, 29.0)
    for t in (1.0, 2.0, 3.0):
        assert moments.chance(t**2) == pytest.approx(2 * stats.t.sf(t, 29), rel=0.03)
        assert moments.chance(t**2) > stats.chi2.sf(t**2, 1)


def test_the_shift_that_does_as_much_is_the_shift_itself() -> None:
    """Along any line, measured in deviations along it."""
    random = np.random.default_rng(6)
    ties = random.normal(size=(SIZE, SIZE))
    whole = whole_of(random.normal(size=(20_000, SIZE)) @ ties)
    for size in (0.2, 0.5):
        line = random.normal(size=SIZE)
        live = (random.normal(size=(20_000, SIZE)) + size * line / np.linalg.norm(line)) @ ties
        counts = whole.counts_of([Column(x) for x in live.T])
        found = discrepancy(whole.counts, counts, whole.moments.first, whole.breadth)
        assert found.shift == pytest.approx(size, rel=0.25)


# how often chance is called a change, and a change chance


def chances(whole: Whole, worlds: list[Floats]) -> Floats:
    counts = [whole.counts_of([Column(x) for x in live.T]) for live in worlds]
    found = [discrepancy(whole.counts, one, 0.0, whole.breadth).statistic for one in counts]
    return np.array([whole.moments.chance(statistic) for statistic in found])


def test_of_the_same_world_it_speaks_as_often_as_its_level_says() -> None:
    random = np.random.default_rng(7)
    whole = whole_of(random.normal(size=(10_000, SIZE)))
    p = chances(whole, [random.normal(size=(200, SIZE)) for _ in range(1_000)])
    assert 70 <= (p <= 0.1).sum() <= 130  # a hundred expected, three deviations either way
    assert 2 <= (p <= 0.01).sum() <= 20


def test_a_tie_that_comes_loose_is_seen_though_each_number_stays_as_it_was() -> None:
    random = np.random.default_rng(8)

    def tied(rho: float) -> Floats:
        values = random.normal(size=(400, SIZE))
        values[:, 1] = rho * values[:, 0] + np.sqrt(1 - rho**2) * values[:, 1]
        return values

    whole = whole_of(np.concatenate([tied(0.7) for _ in range(20)]))
    assert chances(whole, [tied(-0.7) for _ in range(20)]).max() < 1e-8
    assert chances(whole, [tied(0.2) for _ in range(20)]).max() < 1e-3
    assert np.median(chances(whole, [tied(0.7) for _ in range(20)])) > 0.1


# windows of rows that resemble each other


def panes_of(whole: Whole, values: Floats, panes: int) -> np.ndarray:
    number = np.arange(len(values)) * panes // len(values)
    return whole.tabulated(whole.steps([Column(x) for x in values.T]), number, panes)


def drifting(random: np.random.Generator, panes: int, rows: int) -> Floats:
    """Each pane's rows share a level, of one number an autoregressive one."""
    level = random.normal(size=(panes, SIZE)) * 0.2
    for i in range(1, panes):
        level[i, 0] = 0.7 * level[i - 1, 0] + random.normal() * 0.4
    return np.repeat(level, rows, axis=0) + random.normal(size=(panes * rows, SIZE))


def test_windows_of_rows_that_resemble_each_other_are_judged_by_the_references_own() -> None:
    """300 windows of a day at level .02: 6 expected by the windows' law, far more by the rows'."""
    panes, rows, day = 40 * 24, 12, 24
    found, naive = 0, 0
    for seed in range(3):
        random = np.random.default_rng(seed)
        known = drifting(random, panes, rows)
        whole = whole_of(known)
        usual = moments_of_windows(panes_of(whole, known, panes), day, panes // day, whole.moments)
        assert usual is not None
        assert usual.first > 1.5 * whole.moments.first
        live = panes_of(whole, drifting(random, 100 * day, rows), 100 * day)
        for one in live.reshape(100, day, -1).sum(axis=1):
            statistic = discrepancy(whole.counts, one, 0.0, whole.breadth).statistic
            found += usual.chance(statistic) <= 0.02
            naive += whole.moments.chance(statistic) <= 0.02
    assert found <= 14
    assert naive > 100


def test_windows_longer_than_a_tenth_of_the_reference_are_as_those_of_a_tenth() -> None:
    random = np.random.default_rng(9)
    known = random.normal(size=(2_400, SIZE))
    whole = whole_of(known)
    counts = panes_of(whole, known, 240)
    assert moments_of_windows(counts, 100, 10, whole.moments) == moments_of_windows(
        counts, 24, 10, whole.moments
    )
    assert moments_of_windows(counts[:7], 1, 0, whole.moments) is None
    empty = np.zeros_like(counts)
    assert moments_of_windows(empty, 24, 10, whole.moments) is None
    holed = np.concatenate([counts, empty])
    assert moments_of_windows(holed, 1, 0, whole.moments) == moments_of_windows(
        counts, 1, 0, whole.moments
    )
    assert counts.shape == (240, DIRECTIONS * CELLS)
