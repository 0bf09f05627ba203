"""stream.contrasts: the largest of many gaps, and an interval that knows that it is that."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contrasts import Group, difference, ratio, worst
from stream.intervals import Z95, wilson

COUNTS = st.lists(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=2, max_size=5,
)  # fmt: skip


def shares(*counts: tuple[int, int]) -> list[Group]:
    return [Group(f"g{i}", hits / n, n, n) for i, (hits, n) in enumerate(counts)]


def test_newcombes_own_example() -> None:
    """56 of 70 and 48 of 80: Newcombe (1998), method 10: 0.0524 to 0.3339."""
    found = difference(shares((56, 70), (48, 80)))
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert (found.lowest.name, found.highest.name) == ("g1", "g0")


@given(COUNTS)
def test_the_values_are_the_plain_ones(counts: list[tuple[int, int]]) -> None:
    groups = shares(*counts)
    rates = [hits / n for hits, n in counts]
    apart, times = difference(groups), ratio(groups)
    assert apart is not None
    assert apart.value == max(rates) - min(rates)
    assert 0 <= apart.low <= apart.value <= apart.high
    assert (times is None) == (max(rates) == 0)
    if times is not None:
        assert times.value == pytest.approx(min(rates) / max(rates))
        assert 0 <= times.low <= times.value <= times.high <= 1
    assert difference(groups[::-1]) == difference(groups)


@given(COUNTS)
def test_more_groups_and_more_families_make_it_wider(counts: list[tuple[int, int]]) -> None:
    one, two = difference(shares(*counts)), difference(shares(*counts), families=2)
    assert one is not None
    assert two is not None
    assert two.value == one.value
    assert two.low <= one.low
    assert two.high >= one.high
    assert worst([one, two]).high == two.high


def test_one_group_has_no_gap() -> None:
    assert difference([]) is None
    assert difference(shares((1, 2))) is None
    assert ratio(shares((1, 2))) is None
    assert ratio(shares((0, 20), (0, 10))) is None


def test_a_share_of_none_has_a_ratio_of_none_at_most_what_its_interval_allows() -> None:
    found = ratio(shares((0, 200), (100, 200)))
    assert found is not None
    assert (found.value, found.low) == (0.0, 0.0)
    ends = wilson(0.0, 200).figure.high, wilson(0.5, 200).figure.low
    assert found.high == pytest.approx(ends[0] / ends[1])


def test_means_are_compared_by_their_own_variance() -> None:
    groups = [Group("a", -0.1, 50, variance=0.0004), Group("b", 0.2, 60, variance=0.0009)]
    found = difference(groups)
    assert found is not None
    half = Z95 * math.sqrt(0.0013)
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))


@pytest.mark.parametrize("groups", [2, 4])
def test_intervals_hold_for_the_largest_gap(groups: int) -> None:
    """Of 400 draws at least 93% hold it; groups that are alike are hardly ever told apart."""
    rng = np.random.default_rng(5)
    p = np.array([0.2, 0.3, 0.22, 0.28][:groups])
    held = {"difference": 0, "ratio": 0}
    apart = 0
    for _ in range(400):
        n = rng.integers(100, 400, groups)
        found = shares(*zip(rng.binomial(n, p).tolist(), n.tolist(), strict=True))
        one, other = difference(found), ratio(found)
        assert one is not None
        assert other is not None
        held["difference"] += one.low <= 0.1 <= one.high
        held["ratio"] += other.low <= 0.2 / 0.3 <= other.high
        alike = difference(shares(*zip(rng.binomial(n, 0.3).tolist(), n.tolist(), strict=True)))
        apart += alike is not None and alike.low > 0
    assert min(held.values()) >= 0.93 * 400
    assert apart <= 0.07 * 400


def test_every_pair_counts_not_only_the_two_ends() -> None:
    """A middle group of many rows is surely apart from the first, which the last one is not."""
    few = shares((10, 100), (250, 1_000), (3, 11))
    found = difference(few)
    assert found is not None
    pairs = [difference(list(two)) for two in itertools.combinations(few, 2)]
    assert found.lowest.name == "g0"
    assert found.highest.name == "g2"
    ends = difference([few[0], few[2]])
    assert ends is not None
    assert ends.low == 0.0
    assert found.low > 0.0
    assert found.low < max(pair.low for pair in pairs if pair is not None)
