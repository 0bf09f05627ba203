"""stream.tallies: the same outcomes give the same bits, however they come."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.outcomes import Answer, Outcomes, Scores, outcomes_of_rows
from stream.tallies import MOST_ERROR, NAMES, Tally

Row = tuple[Answer, Answer, Scores]
numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
row = st.tuples(
    st.none() | numbers | st.sampled_from(["a", "b", "c"]),
    st.none() | numbers | st.sampled_from(["a", "b", "c"]),
    st.one_of(
        st.just(()), st.tuples(st.tuples(st.just("a"), shares), st.tuples(st.just("b"), shares))
    ),
)
rows_of = st.lists(row, max_size=40)


def outcomes_of(rows: list[Row], sign: int = 1) -> Outcomes:
    labels, answers, scores = ([r[i] for r in rows] for i in range(3))
    return outcomes_of_rows(labels, answers, scores, [sign] * len(rows))  # type: ignore[arg-type]


def tally_of(rows: list[Row]) -> Tally:
    found = Tally()
    found.update(outcomes_of(rows))
    return found


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
    assert len(tally_of(rows).to_bytes()) < 160


def test_no_field_is_left_out_of_a_merge() -> None:
    one, other = Tally(*range(1, len(NAMES) + 1)), Tally(*(1 << i for i in range(len(NAMES))))
    one.merge(other)
    assert [getattr(one, n) for n in NAMES] == [i + 1 + (1 << i) for i in range(len(NAMES))]
