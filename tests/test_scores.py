"""stream.scores: counts that no order changes; stream.curves: scikit-learn's figures from them."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from stream import curves
from stream.columns import Floats
from stream.scores import CELLS, LEAST, UNKNOWN, Scores, cells, middles

shares = st.floats(0, 1)
Row = tuple[float, int, int]
rows_of = st.lists(
    st.tuples(shares | st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 2), st.integers(0, 2)),
    max_size=60,
)


def scores_of(rows: list[Row], sign: int = 1) -> Scores:
    found = Scores()
    p = np.array([row[0] for row in rows], dtype=np.float64)
    answer, label = (np.array([row[i] for row in rows], dtype=np.int64) for i in (1, 2))
    found.update(p, answer, label, np.full(len(rows), sign))
    return found


def told_apart(seed: int, n: int) -> Floats:
    """Scores with ties, of which no two that differ share a cell."""
    rng = np.random.default_rng(seed)
    some = np.unique(cells(rng.random(max(2, n // 2)) ** rng.choice([0.2, 1, 5])))
    found: Floats = middles()[rng.choice(some, n)]
    return found


def labels_of(p: Floats, seed: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    y = (np.random.default_rng(seed).random(len(p)) < p).astype(np.int64)
    y[:2] = (0, 1)
    return y


@given(st.lists(shares, min_size=2, max_size=50))
def test_cells_keep_the_order_and_turn_round(some: list[float]) -> None:
    p = np.sort(np.array(some))
    assert (np.diff(cells(p)) >= 0).all()
    assert (cells(p) + cells(1.0 - p) == CELLS - 1)[p >= LEAST].all()


@given(st.floats(LEAST, 1 - LEAST))
def test_a_cell_is_as_narrow_as_it_says(p: float) -> None:
    middle = middles()[cells(np.array([p]))[0]]
    assert abs(middle - p) <= min(p, 1 - p) / 256


def test_every_cell_holds_its_own_middle() -> None:
    assert np.array_equal(cells(middles()), np.arange(CELLS))
    assert cells(np.array([0.0, 0.5, 1.0])).tolist() == [0, CELLS // 2, CELLS - 1]


@given(rows_of, st.randoms(use_true_random=False))
def test_any_order_split_and_merge_gives_the_same(rows: list[Row], rng: Random) -> None:
    whole, shuffled = scores_of(rows), rng.sample(rows, len(rows))
    parts = [Scores() for _ in range(3)]
    while shuffled:
        size = rng.randint(1, 9)
        parts[rng.randrange(3)].merge(scores_of(shuffled[:size]))
        shuffled = shuffled[size:]
    merged = Scores()
    for part in parts:
        merged.merge(Scores.from_bytes(part.to_bytes()))
    assert merged == whole
    assert merged.to_bytes() == whole.to_bytes()
    assert merged.n == len(rows)


@given(rows_of, rows_of)
def test_what_is_taken_back_was_never_there(kept: list[Row], dropped: list[Row]) -> None:
    found = scores_of(kept + dropped)
    found.merge(scores_of(dropped, sign=-1))
    assert found == scores_of(kept)
    assert found.sound()
    found.merge(scores_of([(0.5, 0, 1)] * (len(kept) + 1), sign=-1))
    assert not found.sound()


def test_many_that_wait_are_added_up() -> None:
    p = np.random.default_rng(1).random(300_000)
    whole, parts = Scores(), Scores()
    whole.update(p)
    for some in np.split(p, 100):
        parts.update(some)
    assert parts == whole
    assert parts.table().sum(axis=(0, 1)).tolist() == [0, 0, 300_000]
    assert whole.times(1 << 40).n == 300_000 << 40


@pytest.mark.parametrize("rows", [1, 100, 10_000])
def test_scores_are_small(rows: int) -> None:
    p = np.random.default_rng(2).random(rows)
    found = Scores()
    found.update(p, (p > 0.5).astype(np.int64), labels_of(p, 3) if rows > 1 else None)
    assert len(found.to_bytes()) <= 8 + 3 * rows
    assert len(found.to_bytes()) < 10_000


@given(st.binary(max_size=40))
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="damaged scores"):
        Scores.from_bytes(raw)


@pytest.mark.parametrize(("codes", "counts"), [([3, 3], [1, 1]), ([60_000], [1]), ([1, 2], [1])])
def test_impossible_codes_are_refused(codes: list[int], counts: list[int]) -> None:
    given_ = Scores(np.array(codes, dtype=np.uint16), np.array(counts, dtype=np.int64))
    with pytest.raises(ValueError, match="damaged scores"):
        Scores.from_bytes(given_.to_bytes())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(4, 2000))
def test_ranking_equals_scikit_learn(seed: int, n: int) -> None:
    p = told_apart(seed, n)
    y, found = labels_of(p, seed), Scores()
    found.update(p, np.full(n, UNKNOWN), y)
    counts = found.by_label()
    assert curves.area(*counts) == pytest.approx(oracle.roc_auc_score(y, p), abs=1e-12)
    expected = oracle.average_precision_score(y, p)
    assert curves.precision(*counts) == pytest.approx(expected, abs=1e-12)
    assert sum(curves.captured(*counts)) == pytest.approx(y.sum())


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(50, 2000))
def test_scores_of_one_cell_are_ties_and_no_more(seed: int, n: int) -> None:
    p = np.random.default_rng(seed).random(n)
    y, found = labels_of(p, seed), Scores()
    found.update(p, None, y)
    positives, negatives = found.by_label()
    bound = (positives * negatives).sum() / (2 * positives.sum() * negatives.sum())
    assert abs(curves.area(positives, negatives) - oracle.roc_auc_score(y, p)) <= bound + 1e-12


def test_the_variance_of_an_area_is_delongs() -> None:
    rng = np.random.default_rng(5)
    high, low = rng.integers(3, 10, 40), rng.integers(0, 8, 60)
    wins = (high[:, None] > low) + (high[:, None] == low) / 2
    expected = wins.mean(axis=1).var(ddof=1) / 40 + wins.mean(axis=0).var(ddof=1) / 60
    counts = np.bincount(high, minlength=10), np.bincount(low, minlength=10)
    assert curves.area_variance(*counts) == pytest.approx(expected, rel=1e-12)
    assert curves.area_variance(np.array([0, 1]), np.array([1, 0])) == 0.0


def test_parts_of_the_rows_share_what_lies_on_their_border() -> None:
    positives, negatives = np.array([0, 4, 2]), np.array([6, 8, 0])
    assert curves.captured(positives, negatives, 4) == pytest.approx([3, 5 / 3, 4 / 3, 0])
