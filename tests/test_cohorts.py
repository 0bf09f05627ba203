"""Cohorts merge in any order, and come back as they were."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.cohorts import Cohorts
from stream.outcomes import outcomes_of_rows

told = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([1, -1]),
        st.integers(0, 50),
    ),
    max_size=12,
)


def cohorts_of(some: list[tuple[int, float, int, int]]) -> Cohorts:
    found = Cohorts()
    for pane, label, sign, offset in some:
        found.cell(pane).update(outcomes_of_rows([label], [1.0], [()], [sign]))
        found.came_from(("truths", pane % 2), offset, offset)
    return found


@given(told, st.integers(0, 12), st.randoms(use_true_random=False))
def test_any_split_and_order_is_the_same(
    some: list[tuple[int, float, int, int]], cut: int, random: Random
) -> None:
    whole = cohorts_of(some)
    random.shuffle(some)
    parts = [cohorts_of(some[cut:]), cohorts_of(some[:cut])]
    merged = Cohorts.merged(Cohorts.from_bytes(part.to_bytes()) for part in parts)
    assert merged.total() == whole.total()
    assert merged.sources == whole.sources
    assert merged.rows == sum(sign for _, _, sign, _ in some)
    assert {p: t for p, t in merged.cells.items() if t.n or t.judged} == {
        p: t for p, t in whole.cells.items() if t.n or t.judged
    }


def test_equal_content_is_equal_bytes_in_any_order() -> None:
    some = [(1, 1.0, 1, 4), (0, 0.0, 1, 2)]
    assert cohorts_of(some).to_bytes() == cohorts_of(some[::-1]).to_bytes()


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x91\x90"])
def test_foreign_bytes_are_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        Cohorts.from_bytes(raw)


@given(told, st.lists(st.tuples(st.sampled_from("xy"), told), max_size=3), st.integers(0, 3))
def test_segments_merge_come_back_and_change_nothing_else(
    some: list[tuple[int, float, int, int]],
    apart: list[tuple[str, list[tuple[int, float, int, int]]]],
    start: int,
) -> None:
    plain, found = cohorts_of(some), cohorts_of(some)
    parts = [cohorts_of(some)]
    for value, own in apart:
        found.segment(("site", value)).merge(cohorts_of(own))
        part = Cohorts()
        part.segment(("site", value)).merge(cohorts_of(own))
        parts.append(part)
    assert Cohorts.merged(parts[::-1]).to_bytes() == found.to_bytes()
    again = Cohorts.from_bytes(found.to_bytes())
    assert again.to_bytes() == found.to_bytes()
    assert again.total() == plain.total()
    assert again.rows == plain.rows
    later = found.since(start)
    for key, known in found.segments.items():
        assert later.segments[key].total() == known.since(start).total()


@settings(max_examples=30)
@given(told, told, told, st.integers(0, 4), st.integers(0, 12))
def test_what_is_known_of_predictions_since_a_time_is_that_of_no_others(
    some: list[tuple[int, float, int, int]],
    sampled: list[tuple[int, float, int, int]],
    corrected: list[tuple[int, float, int, int]],
    start: int,
    cut: int,
) -> None:
    def made(least: int) -> Cohorts:
        def of(rows: list[tuple[int, float, int, int]]) -> list[tuple[int, float, int, int]]:
            return [row for row in rows if row[0] >= least]

        found = cohorts_of(of(some))
        found.sample(2).merge(cohorts_of(of(sampled)))
        for pane, label, sign, at in of(corrected):
            row = outcomes_of_rows([label], [1.0], [()], [sign])
            found.correction(at, pane).update(row)
        return found

    assert made(0).made_since(start).total() == made(start).total()
    parts = [made(0).since(cut).made_since(start), made(0).made_since(start).since(cut)]
    assert parts[0].total() == parts[1].total()
