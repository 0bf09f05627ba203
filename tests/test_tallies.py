"""stream.tallies: the same outcomes give the same bits, however they come."""

import dataclasses
import random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import sums
from stream.breakdowns import Breakdown
from stream.ovr import OneVsRest
from stream.tallies import MOST_ERROR, NAMES, Tally
from stream.weights import Weighted
from tests.outcomes import Row, outcomes_of, tally_of

numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
row = st.tuples(
    st.none() | numbers | st.sampled_from(["a", "b", "c"]),
    st.none() | numbers | st.sampled_from(["a", "b", "c"]),
    st.one_of(
        st.just(()),
        st.tuples(st.tuples(st.just("a"), shares), st.tuples(st.just("b"), shares)),
        st.permutations("abcd").flatmap(
            lambda names: st.tuples(*(st.tuples(st.just(name), shares) for name in names[:3]))
        ),
    ),
)
rows_of = st.lists(row, max_size=40)


@given(rows_of, st.randoms(use_true_random=False))
def test_any_order_split_and_merge_gives_the_same_bits(rows: list[Row], rng: random.Random) -> None:
    whole = tally_of(rows)
    shuffled = rng.sample(rows, len(rows))
    parts = [Tally() for _ in range(4)]
    while shuffled:
        size = rng.randint(1, 7)
        parts[rng.randrange(4)].update(outcomes_of(shuffled[:size]))
        shuffled = shuffled[size:]
    merged = Tally()
    for part in rng.sample(parts, 4):
        merged.merge(Tally.from_bytes(part.to_bytes()))
    assert merged == whole
    assert merged.to_bytes() == whole.to_bytes()


@given(rows_of, rows_of)
def test_what_is_taken_back_was_never_there(kept: list[Row], dropped: list[Row]) -> None:
    found = tally_of(kept + dropped)
    found.update(outcomes_of(dropped, sign=-1))
    assert found == tally_of(kept)


@given(rows_of)
def test_bytes_come_back(rows: list[Row]) -> None:
    tally = tally_of(rows)
    assert Tally.from_bytes(tally.to_bytes()) == tally


@given(st.binary(max_size=80))
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"sums|sum of"):
        Tally.from_bytes(raw)


def test_huge_errors_are_cut_and_counted() -> None:
    tally = tally_of([(1e308, -1e308, ()), (-1e308, 1e308, ()), (0.0, 1e100, ()), (1.0, 2.0, ())])
    assert (tally.numbers, tally.cut) == (4, 3)
    assert tally.errors == (int(MOST_ERROR) + 1 << 1074)


def test_a_tally_is_small() -> None:
    rng = np.random.default_rng(1)
    rows: list[Row] = [
        ("a" if x < 0.6 else "b", "a", (("a", float(x)), ("b", float(1 - x))))
        for x in rng.random(5000)
    ]
    assert len(Tally().to_bytes()) == 25
    assert len(tally_of(rows).to_bytes()) < 4_500
    answers: list[Row] = [(label, answer, ()) for label, answer, _ in rows]
    assert len(tally_of(answers).to_bytes()) < 70
    three: list[Row] = [
        ("a", "b", tuple(zip("abc", map(float, p), strict=True)))
        for p in rng.dirichlet(np.ones(3), 5000)
    ]
    assert len(tally_of(three).to_bytes()) < 20_000


def test_no_field_is_left_out_of_a_merge() -> None:
    one, other = Tally(), Tally()
    for i, name in enumerate(NAMES):
        setattr(one, name, i + 1)
        setattr(other, name, 1 << i)
    one.merge(other)
    assert [getattr(one, n) for n in NAMES] == [i + 1 + (1 << i) for i in range(len(NAMES))]
    assert {*NAMES, "breakdown"} == {field.name for field in dataclasses.fields(Tally)}


def test_bytes_of_an_earlier_release_are_a_tally_without_a_breakdown() -> None:
    tally = tally_of([("a", "b", (("a", 0.25), ("b", 0.75))), (1.0, 2.0, ())])
    assert tally.breakdown
    old = dataclasses.replace(tally, breakdown=Breakdown())
    raw = old.to_bytes()
    assert raw == sums.encode([getattr(tally, name) for name in NAMES])
    assert Tally.from_bytes(raw) == old


def test_bytes_of_two_classes_are_those_of_an_earlier_release() -> None:
    two = tally_of([("a", "b", (("a", 0.25), ("b", 0.75)))] * 3)
    three = tally_of([("a", "b", (("a", 0.25), ("b", 0.5), ("c", 0.25)))] * 3)
    assert [len(_parts(tally)) for tally in (two, three)] == [4, 5]
    before = Breakdown.from_bytes(msgspec.msgpack.encode(_parts(three)[:4]))
    assert before == dataclasses.replace(three.breakdown, ovr=OneVsRest())


def _parts(tally: Tally) -> list[object]:
    found: list[object] = msgspec.msgpack.decode(tally.breakdown.to_bytes())
    return found


def test_weights_count_in_the_breakdown_too() -> None:
    rows: list[Row] = [("a", "b", (("a", 0.25), ("b", 0.75))), ("a", "a", (("a", 0.75),))]
    rows += [("a", "b", (("a", 0.25), ("b", 0.5), ("c", 0.25)))]
    found = tally_of(rows).breakdown.times(8)
    assert found == tally_of(rows * 8).breakdown
    assert Weighted.of({1: tally_of(rows), 4: tally_of(rows)}).breakdown == (
        tally_of(rows * 9).breakdown
    )
