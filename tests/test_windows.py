"""Windows are sums of sealed panes: any split and any order gives the same."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.batches import Block
from stream.batches.blocks import rows_of
from stream.batches.gathering import blocks_of
from stream.cohorts import Cohorts
from stream.columns import column_of
from stream.events import Prediction
from stream.hashes import id_hash
from stream.references import Reference
from stream.samples import Sample
from stream.shares import Share
from stream.signals import ShareName
from stream.windows import Windows

REFERENCE = Reference.build("m", "1", {"x": column_of([float(i) for i in range(20)] * 5)})
OTHER = Reference.build("m", "1", {"x": column_of([float(i) for i in range(30)] * 5)})
REFERENCES = {r.id: r for r in (REFERENCE, OTHER)}
PANE_MS = 10
TOPIC = "predictions"


def share_of(xs: list[float], reference: Reference = REFERENCE, first: int = 0) -> Share:
    share = Share(reference)
    n = len(xs)
    offsets = np.arange(first, first + n)
    times = np.zeros(n, dtype=np.int64)
    share.update({"x": column_of(xs)}, None, None, times, (TOPIC, 0), offsets)
    return share


def name(pane: int, partition: int = 0, revision: int = 0, rows: int = 1) -> ShareName:
    return ShareName("inputs", pane, revision, partition, REFERENCE.id, rows)


def block(xs: list[float]) -> Block:
    rows = [
        (i, 0, Prediction(f"p{i}", "m", "1", i, {"x": x}), id_hash("m", f"p{i}"))
        for i, x in enumerate(xs)
    ]
    (found,) = blocks_of(rows)
    return found


XS = st.lists(st.floats(-5, 25), min_size=1, max_size=20)
PLACES = st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PLACES, XS, max_size=12), st.randoms(), st.integers(1, 5))
def test_a_window_is_the_sum_of_its_panes_in_any_order(shares, random, panes) -> None:  # type: ignore[no-untyped-def]
    windows = Windows("inputs", PANE_MS)
    names = {name(10 * p, part, rev, len(xs)): xs for (p, part, rev), xs in shares.items()}
    windows.name(names)
    wanted = windows.wanted(50, 10 * panes)
    assert wanted == sorted(n for n in names if n.pane >= 50 - 10 * panes)
    for one in sorted(wanted, key=lambda _: random.random()):
        windows.add(one, share_of(names[one]).to_bytes(), REFERENCES)
    assert windows.wanted(50, 10 * panes) == []
    merged = windows.merged(50, 10 * panes, REFERENCE, "1").share
    flat = [x for one in wanted for x in names[one]]
    expected = share_of(flat) if flat else Share(REFERENCE)
    assert merged.rows == len(flat)
    assert merged.vector.tolist() == expected.vector.tolist()


def test_a_share_counts_once() -> None:
    windows = Windows("inputs", PANE_MS)
    assert windows.name([name(0)]) == [0]
    assert windows.name([name(0)]) == []
    for _ in range(2):
        windows.add(name(0), share_of([1.0]).to_bytes(), REFERENCES)
    assert windows.merged(10, 10, REFERENCE, "1").share.rows == 1


def test_rows_of_another_reference_are_counted_and_left_out() -> None:
    windows = Windows("inputs", PANE_MS)
    other = ShareName("inputs", 0, 1, 0, OTHER.id, 3)
    windows.name([name(0), other])
    windows.add(name(0), share_of([1.0]).to_bytes(), REFERENCES)
    windows.add(other, share_of([1.0, 2.0, 3.0], OTHER).to_bytes(), REFERENCES)
    merged = windows.merged(10, 10, REFERENCE, "1")
    assert (merged.share.rows, merged.other) == (1, 3)


def test_a_share_that_is_no_more_is_told_of_and_not_asked_for_again() -> None:
    windows = Windows("inputs", PANE_MS)
    windows.name([name(0, rows=5)])
    windows.add(name(0, rows=5), None, REFERENCES)
    assert windows.wanted(10, 10) == []
    merged = windows.merged(10, 10, REFERENCE, "1")
    assert (merged.share.rows, merged.gone) == (0, 5)
    assert windows.gone(10, 10) == 5


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60, unique=True), st.integers(1, 5))
def test_samples_of_partitions_merge_to_one_of_the_same_rows(ids, partitions) -> None:  # type: ignore[no-untyped-def]
    whole = block([float(i) for i in range(31)])
    windows = Windows("inputs", PANE_MS)
    for p in range(partitions):
        sample = Sample(10)
        mine = np.array([i for i in ids if i % partitions == p], dtype=np.int64)
        if len(mine) == 0:
            continue
        for i in mine.tolist():
            sample.update(rows_of(whole, np.array([i])))
        one = ShareName("inputs", 0, 0, p, "", len(mine))
        windows.name([one])
        windows.add(one, sample.to_bytes(), REFERENCES)
    lowest = sorted(ids, key=lambda i: id_hash("m", f"p{i}"))[:10]
    merged = windows.merged(10, 10, REFERENCE, "1")
    assert merged.sampled == len(ids)
    assert merged.share.vector.tolist() == share_of([float(i) for i in lowest]).vector.tolist()
    found = windows.sample(10, 10)
    assert found is not None
    assert sorted(t for b in found.blocks for t in b.times_ms.tolist()) == sorted(lowest)


def test_sources_of_a_pane_are_the_ranges_of_all_its_shares() -> None:
    windows = Windows("inputs", PANE_MS)
    for partition, first in ((0, 5), (1, 100)):
        one = name(0, partition)
        windows.name([one])
        windows.add(one, share_of([1.0, 2.0], first=first).to_bytes(), REFERENCES)
    assert windows.sources(0, REFERENCES) == {(TOPIC, 0): (5, 101)}
    assert windows.sources(10, REFERENCES) == {}


def test_sources_of_rows_that_were_kept_raw_are_told_as_well() -> None:
    windows = Windows("inputs", PANE_MS)
    sample = Sample(5)
    sample.update(block([1.0, 2.0]), (TOPIC, 1))
    raw = dataclasses.replace(name(0, 1), reference="")
    windows.name([name(0), raw])
    windows.add(name(0), share_of([1.0], first=7).to_bytes(), REFERENCES)
    windows.add(raw, sample.to_bytes(), REFERENCES)
    assert windows.sources(0, REFERENCES) == {(TOPIC, 0): (7, 7), (TOPIC, 1): (0, 1)}


def test_what_no_window_reaches_is_forgotten() -> None:
    windows = Windows("inputs", PANE_MS)
    windows.name([name(p) for p in (0, 10, 20)])
    for pane in (0, 10, 20):
        windows.add(name(pane), share_of([1.0]).to_bytes(), REFERENCES)
    assert windows.forget(20, 10) == [0]
    assert (sorted(windows.panes), sorted(windows.named)) == ([20], [10, 20])
    assert (windows.rows(0), windows.rows(10)) == (0, 1)


def test_outcomes_merge_by_cohort() -> None:
    windows = Windows("quality", PANE_MS)
    for pane, cohort in ((0, 0), (10, 0), (10, 10)):
        told = Cohorts()
        told.cell(cohort).n = 2
        one = ShareName("quality", pane, cohort, 0, "", 2)
        windows.name([one])
        windows.add(one, told.to_bytes(), {})
    found = windows.cohorts(20, 20)
    assert {pane: tally.n for pane, tally in found.cells.items()} == {0: 4, 10: 2}


def test_a_window_longer_than_all_that_is_known_costs_what_is_known() -> None:
    windows = Windows("inputs", PANE_MS)
    windows.name([name(10**12)])
    assert windows.wanted(10**12 + 10, 10**12) == [name(10**12)]
