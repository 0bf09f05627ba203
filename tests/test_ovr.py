"""stream.ovr: scores of each class against the others, which no order changes."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.ovr import MOST, OneVsRest
from stream.ovr import given as given_by
from stream.scores import Scores
from tests.outcomes import Row, outcomes_of

shares = st.floats(0, 1)
names = st.permutations("abcd")


@st.composite
def row(draw: st.DrawFn) -> Row:
    """A label, an answer, and what 3 or 4 classes got, in any order."""
    classes = draw(names)[: draw(st.integers(3, 4))]
    sure = tuple((name, draw(shares | st.sampled_from([0.0, 1.0]))) for name in classes)
    label = draw(st.none() | st.sampled_from("abcdx"))
    return label, draw(st.none() | st.sampled_from("abcd")), sure


rows_of = st.lists(row(), max_size=20)


def one_vs_rest(rows: list[Row], sign: int = 1) -> OneVsRest:
    found, given = OneVsRest(), outcomes_of(rows, sign).given
    if given is not None:
        found.update(given, np.full(len(rows), sign))
    return found


def plainly(rows: list[Row]) -> dict[str, Scores]:
    """The same, one by one."""
    found: dict[str, Scores] = {}
    for label, _, sure in rows:
        for name, p in sure if label is not None else ():
            true = np.array([label == name], dtype=np.int64)
            found.setdefault(name, Scores()).update(np.array([p]), None, true)
    return dict(sorted(found.items()))


@settings(deadline=None)
@given(rows_of, st.randoms(use_true_random=False))
def test_any_order_split_and_merge_gives_the_same(rows: list[Row], rng: Random) -> None:
    whole, shuffled = one_vs_rest(rows), rng.sample(rows, len(rows))
    parts = [OneVsRest() for _ in range(3)]
    while shuffled:
        size = rng.randint(1, 9)
        rng.choice(parts).merge(one_vs_rest(shuffled[:size]))
        shuffled = shuffled[size:]
    merged = OneVsRest()
    for part in parts:
        merged.merge(OneVsRest.unpack(part.pack()))
    assert merged == whole
    assert merged.pack() == whole.pack()
    assert whole.counts() == plainly(rows)


@settings(deadline=None)
@given(rows_of, rows_of)
def test_what_is_taken_back_was_never_there(kept: list[Row], dropped: list[Row]) -> None:
    found = one_vs_rest(kept + dropped)
    found.merge(one_vs_rest(dropped, sign=-1))
    assert found == one_vs_rest(kept)
    assert bool(found) == bool(plainly(kept))


@settings(deadline=None)
@given(rows_of, st.lists(st.integers(0, 19), max_size=20))
def test_some_of_the_rows_are_those_rows(rows: list[Row], places: list[int]) -> None:
    places = [place for place in places if place < len(rows)]
    found, given = OneVsRest(), outcomes_of(rows).given
    if given is not None:
        found.update(given.take(np.array(places, dtype=np.int64)), np.ones(len(places), np.int64))
    assert found == one_vs_rest([rows[place] for place in places])


def test_weights_are_so_many_of_each() -> None:
    rows: list[Row] = [("a", "b", (("a", 0.25), ("b", 0.5), ("c", 0.25)))]
    assert one_vs_rest(rows).times(3) == one_vs_rest(rows * 3)


def named(classes: range) -> Row:
    sure = tuple((f"{i:02}", 1 / len(classes)) for i in classes)
    return f"{classes[0]:02}", None, sure


def test_a_row_of_too_many_classes_is_left_out() -> None:
    few, many = named(range(MOST)), named(range(MOST + 1))
    assert len(one_vs_rest([few, many]).counts()) == MOST
    assert one_vs_rest([few, many]) == one_vs_rest([few])
    assert not one_vs_rest([many])
    assert not one_vs_rest([named(range(2))])


@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_rows_of_too_many_classes_together_keep_none_in_any_order(rng: Random, more: int) -> None:
    rows = [named(range(at, at + 5)) for at in (0, 5, 10, 10 + more)] * 2
    whole = one_vs_rest(rng.sample(rows, len(rows)))
    parts = [one_vs_rest([one]) for one in rng.sample(rows, len(rows))]
    merged = OneVsRest()
    for part in parts:
        merged.merge(OneVsRest.unpack(part.pack()))
    assert merged == whole
    assert whole.counts()
    crowd = one_vs_rest([named(range(15, 21 + more))])
    whole.merge(crowd)
    crowd.merge(merged)
    assert whole == crowd == OneVsRest.unpack(whole.pack())
    assert whole.crowded
    assert bool(whole)
    assert whole.counts() == {}
    whole.merge(merged)
    assert whole == crowd


def test_classes_that_were_taken_back_are_not_one_too_many() -> None:
    found = one_vs_rest([named(range(10))])
    found.merge(one_vs_rest([named(range(10))], -1))
    found.merge(one_vs_rest([named(range(10, 10 + MOST))]))
    assert found == one_vs_rest([named(range(10, 10 + MOST))])


def test_two_classes_are_not_counted_each_against_the_rest() -> None:
    assert given_by(("a", "b"), np.ones((3, 2)), np.zeros(3, np.int64)) is None


def test_a_row_with_a_class_of_no_probability_is_left_out() -> None:
    matrix = np.array([[0.5, 0.25, np.nan], [0.5, 0.25, 0.25]])
    found = given_by(("a", "b", "c"), matrix, np.zeros(2, np.int64))
    assert found is not None
    assert found.panel.tolist() == [-1, 0]


@pytest.mark.parametrize(
    "packed",
    [
        ([("b", b""), ("a", b"")], False),
        ([("a", b""), ("a", b"")], False),
        ([("a", b"")], False),
        ([(f"{i:02}", Scores().to_bytes()) for i in range(MOST + 1)], False),
        ([("a", Scores().to_bytes())], True),
    ],
)
def test_impossible_counts_are_refused(packed: tuple[list[tuple[str, bytes]], bool]) -> None:
    with pytest.raises(ValueError, match="damaged scores"):
        OneVsRest.unpack(packed)
