import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.columns import column_of
from stream.references import Reference
from stream.shares import KEPT_NAMES, Share

RNG = np.random.default_rng(2)
AGES = RNG.normal(40, 12, 400)
REFERENCE = Reference.build(
    "m",
    "1",
    {"age": column_of(AGES), "colour": column_of(["red", "blue"] * 200)},
    prediction=column_of([0, 1] * 200),
    confidence=RNG.uniform(size=400),
)
Rows = list[tuple[float | None, str | None, int]]
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(AGES.tolist()), st.floats(0, 90)),
        st.one_of(st.none(), st.integers(0, 99).map(lambda i: f"colour {i}"), st.just("red")),
        st.integers(0, 10**12),
    ),
    max_size=120,
)


def share_of(rows: Rows, at: int = 0) -> Share:
    share = Share(REFERENCE)
    features = {"age": column_of([r[0] for r in rows]), "colour": column_of([r[1] for r in rows])}
    prediction = column_of([r[2] % 3 for r in rows])
    times = np.array([r[2] for r in rows], dtype=np.int64)
    offsets = at + np.arange(len(rows))
    share.update(features, prediction, np.full(len(rows), 0.5), times, ("p", 0), offsets)
    return share


@given(ROWS, st.data())
@settings(deadline=None)
def test_any_cutting_and_order_gives_the_same_bytes(rows: Rows, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    bounds = [0, *cuts, len(rows)]
    pieces = [share_of(rows[a:b], a) for a, b in itertools.pairwise(bounds)]
    shuffled = data.draw(st.permutations(pieces))
    whole = share_of(rows)
    assert Share.merged(REFERENCE, shuffled).to_bytes() == whole.to_bytes()


@given(ROWS)
@settings(deadline=None)
def test_bytes_give_the_share_again(rows: Rows) -> None:
    share = share_of(rows)
    again = Share.from_bytes(share.to_bytes(), REFERENCE)
    assert np.array_equal(again.vector, share.vector)
    assert again.to_bytes() == share.to_bytes()
    again.merge(share)
    assert again.rows == 2 * len(rows)
    assert again.counts("age").sum() == 2 * len(rows)


def test_a_feature_left_out_is_missing_and_a_strange_one_is_named() -> None:
    share = Share(REFERENCE)
    share.update({"height": column_of([1.0, 2.0])}, None, None, np.array([1, 2]))
    assert share.counts("age")[REFERENCE.features["age"].missing_at] == 2
    assert share.counts("prediction", "output")[-1] == 2
    assert share.unknown == {"height": 2}


def test_new_categories_are_named_and_bounded() -> None:
    share = Share(REFERENCE)
    names = [f"c{i}" for i in range(500)]
    share.update({"colour": column_of(names)}, column_of([7] * 500), None, np.arange(500))
    assert len(share.new_names["colour"]) == KEPT_NAMES
    assert share.new_names["output:prediction"] == {"7": 500}


def test_the_names_kept_do_not_depend_on_the_order() -> None:
    shares = [share_of([(1.0, f"c{i % 90}", i)]) for i in range(200)]
    forth, back = (Share.merged(REFERENCE, s) for s in (shares, reversed(shares)))
    assert forth.new_names == back.new_names
    assert all(n == 2 + (int(name[1:]) < 20) for name, n in forth.new_names["colour"].items())


def test_the_span_and_the_sources_are_kept() -> None:
    share = share_of([(1.0, "red", 50), (2.0, "red", 20)], at=7)
    share.merge(share_of([(1.0, "red", 99)], at=3))
    assert (share.first_ms, share.last_ms) == (20, 99)
    assert share.sources == {("p", 0): (3, 8)}


def test_a_share_of_another_reference_is_refused() -> None:
    other = Reference.build("m", "2", {"age": column_of(AGES)})
    with pytest.raises(ValueError, match="cannot join"):
        Share(REFERENCE).merge(Share(other))
    with pytest.raises(ValueError, match="read with reference"):
        Share.from_bytes(Share(other).to_bytes(), REFERENCE)


@given(st.binary(max_size=100), st.integers(0, 200))
def test_damaged_bytes_are_a_value_error(junk: bytes, at: int) -> None:
    good = share_of([(1.0, "red", 50)]).to_bytes()
    for data in (junk, good[:-1], good[: at % len(good)] + junk):
        if data != good:
            with pytest.raises(ValueError, match="share"):
                Share.from_bytes(data, REFERENCE)
