import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream.categories import chi_square, largest_change, vanished

PAIRS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=30)


@given(st.lists(st.tuples(st.integers(20, 300), st.integers(20, 300)), min_size=2, max_size=9))
def test_large_cells_are_scipys_test_and_smaller_ones_promise_no_more(
    pairs: list[tuple[int, int]],
) -> None:
    first, second = np.array(pairs).T
    oracle = stats.chi2_contingency([first, second])
    found = chi_square(first, second)
    smallest = oracle.expected_freq.min()
    if smallest >= 50:
        assert (found.statistic, found.p_value) == (oracle.statistic, oracle.pvalue)
        assert (found.pooled, found.method) == (0, "chi-square")
    elif smallest >= 5 and len(pairs) > 2:
        assert found.statistic == oracle.statistic
        assert found.p_value >= oracle.pvalue
        assert found.method == "permutation"


@given(PAIRS)
@settings(deadline=None)
def test_small_cells_are_pooled_and_whatever_comes_gives_a_p_value(
    pairs: list[tuple[int, int]],
) -> None:
    first, second = np.array([*pairs, (1, 1)]).T
    found = chi_square(first, second)
    assert 0 <= found.p_value <= 1
    assert np.isfinite(found.statistic)
    assert found.cells + max(0, found.pooled - 1) == ((first + second) > 0).sum()


@given(PAIRS)
@settings(deadline=None)
def test_equal_samples_never_differ(pairs: list[tuple[int, int]]) -> None:
    first = np.array([a for a, _ in pairs] + [1])
    assert chi_square(first, first).p_value == pytest.approx(1)


def test_pooling_by_hand() -> None:
    found = chi_square(np.array([500, 480, 4, 3, 0, 0]), np.array([520, 460, 3, 6, 1, 0]))
    oracle = stats.chi2_contingency([[500, 480, 7], [520, 460, 10]])
    assert found.statistic == pytest.approx(oracle.statistic)
    assert oracle.pvalue <= found.p_value < 1.1 * oracle.pvalue
    assert (found.cells, found.pooled, found.method) == (3, 3, "permutation")


def test_the_pooled_cell_is_large_enough_too() -> None:
    found = chi_square(np.array([500, 400, 480, 1, 1]), np.array([510, 400, 480, 1, 0]))
    assert (found.cells, found.pooled, found.method) == (3, 3, "chi-square")


def test_a_tiny_table_gets_fishers_test() -> None:
    found = chi_square(np.array([8, 2]), np.array([1, 5]))
    assert found.method == "fisher"
    assert found.p_value == stats.fisher_exact([[8, 2], [1, 5]]).pvalue


def test_one_category_says_nothing() -> None:
    assert chi_square(np.array([9, 0]), np.array([4, 0])).p_value == 1


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        chi_square(np.array([1, 2]), np.array([0, 0]))


@pytest.mark.parametrize(("rows", "categories"), [(200, 200), (1_000, 200), (1_000, 20)])
def test_many_categories_and_few_rows_keep_the_level_when_nothing_changed(
    rows: int, categories: int
) -> None:
    rng = np.random.default_rng(5)
    shares = rng.dirichlet(np.full(categories, 0.5))
    known = rng.multinomial(20_000, shares, size=1_000)
    live = rng.multinomial(rows, shares, size=1_000)
    p = np.array([chi_square(a, b).p_value for a, b in zip(known, live, strict=True)])
    for level, most in ((0.1, 0.12), (0.05, 0.065), (0.01, 0.018), (0.001, 0.004)):
        assert np.mean(p < level) <= most  # at most two standard errors beyond the level


def test_the_largest_change_and_what_vanished() -> None:
    first, second = np.array([60, 30, 10]), np.array([50, 0, 50])
    change = largest_change(first, second)
    assert (change.place, change.before, change.after) == (2, 0.1, 0.5)
    assert vanished(first, second) == [1]
    assert vanished(first, np.array([3, 0, 0])) == []


def test_of_two_equal_changes_the_rarer_category_is_named() -> None:
    assert largest_change(np.array([909, 591]), np.array([738, 762])).place == 1
    assert largest_change(np.array([591, 909]), np.array([762, 738])).place == 0
