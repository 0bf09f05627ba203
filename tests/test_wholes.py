"""Wholes: a vector's counts depend on the rows alone, and the reference says how they are made."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.columns import Column, Floats, column_of
from stream.discrepancies import CELLS
from stream.layouts import WHOLE
from stream.parts import Parts
from stream.references import Reference
from stream.shares import Share
from stream.vectors import element
from stream.wholes import DIRECTIONS, FARTHEST, MISSING, STEPS, TURN, Whole, learnt

SIZE, ROWS = 5, 900
RANDOM = np.random.default_rng(3)
VALUES: Floats = RANDOM.normal(3, 2, size=(ROWS, SIZE)) @ RANDOM.normal(size=(SIZE, SIZE))
LIVE: Floats = RANDOM.normal(3, 2, size=(700, SIZE)) @ RANDOM.normal(size=(SIZE, SIZE))
LIVE[::9, 1], LIVE[1::50, 2], LIVE[2::50, 0] = np.nan, np.inf, 1e300


def columns(values: Floats, name: str = "v") -> dict[str, Column]:
    return {element(name, i): Column(values[:, i].copy()) for i in range(values.shape[1])}


REFERENCE = Reference.build("m", "1", columns(VALUES) | {"x": Column(VALUES[:, 0])})
WHOLE_OF = REFERENCE.wholes["v"]


def share(values: Floats) -> Share:
    found = Share(REFERENCE)
    found.update(columns(values), None, None, np.arange(len(values)))
    return found


def by_hand(whole: Whole, values: Floats) -> list[int]:
    """The same counts with Python's own whole numbers, a row and a direction at a time."""
    found = [0] * (DIRECTIONS * CELLS)
    for row in values:
        if not np.isfinite(row).all():
            continue
        steps = [
            max(-STEPS * FARTHEST, min(STEPS * FARTHEST, round((x - m) * (STEPS / sd))))
            for x, m, sd in zip(row.tolist(), whole.means.tolist(), whole.sds.tolist(), strict=True)
        ]
        for j in range(DIRECTIONS):
            turn = sum(s * int(t) for s, t in zip(steps, whole.turns[:, j], strict=True)) % TURN
            found[j * CELLS + turn * CELLS // TURN] += 1
    return found


def test_counts_are_those_made_by_hand() -> None:
    assert WHOLE_OF.counts_of(columns(LIVE[:120]).values()).tolist() == by_hand(
        WHOLE_OF, LIVE[:120]
    )
    assert WHOLE_OF.counts.sum() == ROWS * DIRECTIONS


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 8), st.booleans())
def test_any_parts_in_any_order_make_the_same_share(  # type: ignore[no-untyped-def]
    random, parts: int, packed: bool
) -> None:
    order = random.sample(range(len(LIVE)), len(LIVE))
    some = [share(LIVE[order[i::parts]]) for i in range(parts)]
    if packed:
        some = [Share.from_bytes(one.to_bytes(), REFERENCE) for one in some]
    random.shuffle(some)
    found = Share.merged(REFERENCE, some)
    assert found.counts("v", WHOLE).tolist() == share(LIVE).counts("v", WHOLE).tolist()


def test_in_blocks_of_any_size_it_is_the_same() -> None:
    wide = RANDOM.normal(size=(300, 200))  # so wide that a block is of 20 rows
    whole = learnt("w", [Column(x) for x in wide.T], np.zeros(200), np.ones(200))
    assert whole is not None
    single = sum(whole.counts_of([Column(x) for x in row[:, None]]) for row in wide)
    assert np.array_equal(whole.counts, single)


def test_each_mixture_has_a_deviation_of_one_however_the_numbers_are_tied() -> None:
    some = RANDOM.normal(size=(4_000, 3))
    tied = np.column_stack([some, some @ [1.0, 2.0, -1.0], some[:, 0], np.full(4_000, 7.0)])
    means, sds = tied.mean(axis=0), np.append(tied[:, :-1].std(axis=0), 0.0)
    whole = learnt("v", [Column(x) for x in tied.T], means, sds)
    assert whole is not None
    radians = whole.steps([Column(x) for x in tied.T]) @ whole.turns * (2 * np.pi / TURN)
    assert radians.std(axis=0) == pytest.approx(np.ones(DIRECTIONS), abs=0.02)
    assert 2 < whole.breadth < 4


def test_a_row_that_lacks_a_number_is_not_whole() -> None:
    words = {element("v", i): column_of(["a"] * 4 + [1.0] * 4) for i in range(SIZE)}
    found = Share(REFERENCE)
    found.update(words, None, None, np.arange(8))
    assert found.counts("v", WHOLE).sum() == 4 * DIRECTIONS
    lacks = columns(LIVE)
    del lacks[element("v", 2)]
    found = Share(REFERENCE)
    found.update(lacks, None, None, np.arange(len(LIVE)))
    assert found.counts("v", WHOLE).sum() == 0
    assert (WHOLE_OF.steps(columns(LIVE[:10]).values())[0] == MISSING).sum() == 1


@pytest.mark.parametrize("rows", [0, 29])
def test_of_few_rows_nothing_is_learnt(rows: int) -> None:
    assert learnt("v", [Column(x) for x in VALUES[:rows].T], np.zeros(SIZE), np.ones(SIZE)) is None
    assert Reference.build("m", "1", columns(VALUES[:29])).wholes == {}


def test_of_vectors_that_do_not_vary_nothing_is_learnt() -> None:
    assert Reference.build("m", "1", columns(np.ones((100, 3)))).wholes == {}


def test_too_many_numbers_are_not_looked_at_as_a_whole() -> None:
    wide = [Column(np.zeros(1))] * 1_001
    assert learnt("v", wide, np.zeros(1_001), np.ones(1_001)) is None


# in a reference


def test_it_comes_through_bytes_and_parts() -> None:
    for known in (REFERENCE, Reference.build("m", "1", columns(VALUES) | columns(LIVE, "w"))):
        again = Reference.from_bytes(known.to_bytes())
        assert again.id == known.id
        parts, found = Parts(), None
        events = known.to_parts(20_000)
        assert len(events) > 2
        for event in events[::-1]:
            found = parts.add(json.loads(json.dumps(event))) or found
        assert found is not None
        assert found.id == known.id
        assert found.document() == known.document()


def test_without_vectors_a_reference_and_its_shares_are_what_they_were() -> None:
    plain = Reference.build("m", "1", {"x": Column(VALUES[:, 0])})
    assert "wholes" not in plain.document()
    assert len(Share(plain).vector) == plain.features["x"].width


def test_it_can_be_left_out_of_a_reference() -> None:
    plain = Reference.build("m", "1", columns(VALUES), whole_vectors=False)
    assert plain.wholes == {}
    assert "wholes" not in plain.document()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("turns", [[1] * DIRECTIONS] * 4, "turns of shape"),
        ("turns", [[1] * 3] * SIZE, "turns of shape"),
        ("turns", [[1], [1, 2]], "whole of 'v'"),
        ("turns", [[1 << 30] * DIRECTIONS] * SIZE, "too large"),
        ("counts", [1], "1 counts"),
        ("counts", [-1] * DIRECTIONS * CELLS, "below 0"),
        ("breadth", 0.0, "moments that cannot be"),
        ("moments", [1.0, 2.0, 1.0, 5], "moments that cannot be"),
        ("moments", [1.0], "whole of 'v'"),
        ("more", 1, "more"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(key: str, value: Any, said: str) -> None:
    document = REFERENCE.document()
    document["wholes"]["v"][key] = value
    with pytest.raises(ValueError, match=said):
        Reference.from_document(document)


def test_a_whole_of_no_vector_is_refused() -> None:
    document = REFERENCE.document()
    document["wholes"]["w"] = document["wholes"]["v"]
    with pytest.raises(ValueError, match="whole of 'w': the reference has no such vector"):
        Reference.from_document(document)


@pytest.mark.parametrize("rows", [1, 40, 700, 20_000])
def test_a_packed_share_grows_by_the_wholes_own_counts_alone(rows: int) -> None:
    """Their large numbers do not widen the many small ones."""
    values = np.random.default_rng(4).normal(3, 2, size=(rows, SIZE))
    plain = Reference.build(
        "m", "1", columns(VALUES) | {"x": Column(VALUES[:, 0])}, whole_vectors=False
    )
    without = Share(plain)
    without.update(columns(values), None, None, np.arange(rows))
    found = share(values)
    again = Share.from_bytes(found.to_bytes(), REFERENCE)
    assert again.vector.tolist() == found.vector.tolist()
    width = next(n for n in (1, 2, 4) if found.counts("v", WHOLE).max() < 256**n)
    grown = len(found.to_bytes()) - len(without.to_bytes())
    assert width * DIRECTIONS * CELLS <= grown <= width * DIRECTIONS * CELLS + 4
