"""Totals move with their window, and are at every step what adding up anew gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.columns import column_of
from stream.references import Reference
from stream.shares import KEPT_NAMES, Share
from stream.totals import FEW, MAX_TOTALS, Totals

PANES = 24
NUMBERS = column_of([float(i) for i in range(20)] * 5)
REFERENCE = Reference.build("m", "1", {"x": NUMBERS, "c": column_of(["a", "b"] * 50)})
OTHER = Reference.build("m", "1", {"x": NUMBERS})


def packed(seed: int, rows: int, reference: Reference = REFERENCE) -> bytes:
    """A share with names that the reference has not, more than are kept, and an unknown feature."""
    rng = np.random.default_rng(seed)
    share = Share(reference)
    columns = {
        "x": column_of(rng.integers(-2, 22, rows).astype(float)),
        "c": column_of([f"n{i}" for i in rng.integers(0, 2 * KEPT_NAMES, rows)]),
        f"strange{seed % 3}": column_of([1.0] * rows),
    }
    times = rng.integers(0, 1_000, rows)
    share.update(columns, None, None, times, ("predictions", seed % 2), np.arange(rows) + seed)
    return share.to_bytes()


def anew(parts: dict[int, bytes], reference: Reference = REFERENCE) -> bytes:
    shares = (Share.from_bytes(raw, reference) for _, raw in sorted(parts.items()))
    return Share.merged(reference, shares).to_bytes()


STEP = st.tuples(st.integers(0, PANES), st.integers(1, PANES), st.integers(0, PANES - 1))


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=12), st.integers(0, 30))
def test_a_total_is_the_sum_of_its_parts_wherever_the_window_goes(
    steps: list[tuple[int, int, int]], rows: int
) -> None:
    """The window goes forth and back, grows and shrinks; a pane of it gets another revision."""
    totals, known = Totals(), {pane: packed(pane, rows) for pane in range(PANES)}
    for number, (first, length, revised) in enumerate(steps):
        known[revised] = packed(100 + number, rows)
        parts = {p: raw for p, raw in known.items() if first <= p < first + length}
        found = totals.get("w", parts, REFERENCE)
        assert found.to_bytes() == anew(parts)
        found.vector += 1  # it is the caller's own
        totals.forget(first)


def test_windows_and_references_do_not_mix() -> None:
    totals = Totals()
    for start in range(6):
        for length in (FEW, 2 * FEW):
            for reference in (REFERENCE, OTHER):
                parts = {p: packed(p, 9, reference) for p in range(start, start + length)}
                found = totals.get((reference.id, length), parts, reference)
                assert found.to_bytes() == anew(parts, reference)


def test_a_damaged_part_is_said_and_leaves_nothing_wrong() -> None:
    totals, parts = Totals(), {pane: packed(pane, 9) for pane in range(2 * FEW)}
    totals.get("w", parts, REFERENCE)
    with pytest.raises(ValueError, match="share"):
        totals.get("w", parts | {3: parts[3][:-1]}, REFERENCE)
    assert totals.get("w", parts, REFERENCE).to_bytes() == anew(parts)


def test_so_many_totals_are_kept_and_those_of_the_past_are_not() -> None:
    totals, parts = Totals(), {pane: packed(pane, 1) for pane in range(FEW)}
    for key in range(MAX_TOTALS + 10):
        totals.get(key, parts, REFERENCE)
    assert len(totals) == MAX_TOTALS
    totals.forget(FEW - 1)
    assert len(totals) == MAX_TOTALS
    totals.forget(FEW)
    assert len(totals) == 0
