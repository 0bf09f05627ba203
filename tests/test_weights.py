"""Weights: samples of different rates as one tally, against sums over rows."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import intervals
from stream.cohorts import Cohorts
from stream.columns import column_of
from stream.outcomes import outcomes
from stream.quality import METRICS, Metric
from stream.tallies import Tally
from stream.weights import Weighted, weighted


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows of a sample: labels and answers are 0 or 1, p is given to 1."""

    exponent: int
    label: np.ndarray[tuple[int], np.dtype[np.float64]]
    answer: np.ndarray[tuple[int], np.dtype[np.float64]]
    p: np.ndarray[tuple[int], np.dtype[np.float64]]

    def tally(self) -> Tally:
        found = Tally()
        scores = (("1", "0"), np.stack([self.p, 1 - self.p], axis=1))
        found.update(outcomes(column_of(self.label), column_of(self.answer), scores))
        return found


def rows(seed: int, exponent: int, n: int) -> Rows:
    rng = np.random.default_rng([seed, exponent])
    label, answer = (rng.integers(0, 2, n).astype(np.float64) for _ in range(2))
    return Rows(exponent, label, answer, np.round(rng.uniform(0.01, 0.99, n), 3))


def values(metric: Metric, some: Rows) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What a metric is the mean of, or the mean square for the root."""
    error = some.answer - some.label
    found = {
        "accuracy": (error == 0).astype(np.float64),
        "log_loss": -np.log(np.where(some.label == 1, some.p, 1 - some.p)),
        "brier": (some.label - some.p) ** 2,
        "confidence": np.where(some.answer == 1, some.p, 1 - some.p),
        "mae": np.abs(error),
        "rmse": error**2,
        "bias": error,
    }
    return np.asarray(found[metric.name], dtype=np.float64)


strata = st.dictionaries(st.integers(0, 12), st.integers(1, 60), min_size=2, max_size=4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), strata)
def test_figures_are_weighted_means_and_as_sure_as_kish_says(
    seed: int, sizes: dict[int, int]
) -> None:
    some = [rows(seed, k, n) for k, n in sizes.items()]
    tally = weighted({one.exponent: one.tally() for one in some})
    weights = np.concatenate([np.full(len(one.label), 2.0**one.exponent) for one in some])
    effective = weights.sum() ** 2 / (weights**2).sum()
    for metric in METRICS.values():
        x = np.concatenate([values(metric, one) for one in some])
        mean = np.average(x, weights=weights)
        figure = metric.get(tally)
        assert figure is not None
        assert figure.n == max(round(effective), 1)
        if metric.name == "rmse":
            assert figure.value == pytest.approx(np.sqrt(mean), rel=1e-9)
            continue
        assert figure.value == pytest.approx(mean, rel=1e-9, abs=1e-12)
        if metric.moments is not None:
            spread = np.average((x - mean) ** 2, weights=weights)
            expected = spread / max(effective - 1, 1)
            assert metric.moments(tally).variance == pytest.approx(expected, rel=1e-6, abs=1e-15)


@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(1, 50))
def test_one_weight_is_no_weight(seed: int, exponent: int, n: int) -> None:
    tally = rows(seed, exponent, n).tally()
    assert weighted({exponent: tally, 3 + exponent: Tally()}) == tally
    assert weighted({}) == Tally()


@given(st.integers(0, 60), st.integers(1, 60), st.integers(2, 9), st.floats(0, 1))
def test_what_counts_so_many_times_and_is_worth_as_little_is_the_same(
    hits: int, n: int, times: int, expected: float
) -> None:
    hits, worth = min(hits, n), 1 / times
    plain = intervals.p_of_fewer(hits, n, expected)
    many = (times * hits, times * n)
    assert intervals.p_of_fewer(*many, expected, worth) == pytest.approx(plain, abs=1e-9)
    once, often = intervals.share(hits, n), intervals.share(*many, worth)
    assert once is not None
    assert often is not None
    assert dataclasses.astuple(often) == pytest.approx(dataclasses.astuple(once))


def test_tests_know_the_weights() -> None:
    accuracy = METRICS["accuracy"]
    few, many = Tally(n=40, judged=40, hits=30), Tally(n=400, judged=400, hits=300)
    mixed = Weighted.of({0: many, 1: few})
    against = accuracy.change(mixed, Tally(n=400, judged=400, hits=340))
    assert against is not None
    assert against.p_value < 0.01
    none = accuracy.change(Weighted.of({0: few, 1: Tally(n=9, judged=9, hits=9)}), 1.0)
    assert none is not None
    assert none.p_value == 0.0
    all_right = Weighted.of({k: Tally(n=9, judged=9, hits=9) for k in (0, 1)})
    assert accuracy.change(all_right, 0.5).p_value == 1.0  # type: ignore[union-attr]


def test_more_taken_back_than_there_was_is_not_sound() -> None:
    good, bad = Tally(n=9, judged=9, hits=5), Tally(n=-4, judged=-4, hits=-1)
    assert Weighted.of({0: good, 1: good}).sound()
    assert not Weighted.of({0: good, 2: bad}).sound()
    assert Weighted.of({0: good, 2: bad}).worth("n") == 1.0


told = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0, 0, 1, 4]), st.integers(0, 3), st.booleans()),
    max_size=12,
)


def cohorts_of(some: list[tuple[int, int, int, bool]]) -> Cohorts:
    found = Cohorts()
    for pane, exponent, first, right in some:
        sample = found.sample(exponent)
        tally = sample.cell(pane) if first == 0 else sample.correction(first, pane)
        tally.merge(Tally(n=1, judged=1, hits=int(right)))
    return found


@given(told, st.integers(0, 12))
def test_samples_merge_and_come_back(some: list[tuple[int, int, int, bool]], cut: int) -> None:
    whole = cohorts_of(some)
    parts = (cohorts_of(some[cut:]), cohorts_of(some[:cut]))
    merged = Cohorts.merged(Cohorts.from_bytes(part.to_bytes()) for part in parts)
    assert merged.to_bytes() == whole.to_bytes()
    assert merged.rows == len(some)
    assert merged.stands_for == sum(1 << k for _, k, _, _ in some)
    kept = [row for row in some if row[2] == 0 or row[2] >= 2]
    assert whole.since(2).total() == cohorts_of(kept).total()
    assert merged.panes == sorted({pane for pane, _, first, _ in some if first == 0})
