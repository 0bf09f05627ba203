"""Fronts: the watermark is the lowest of the source partitions that speak, and never goes back."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.fronts import Front
from stream.panes import BEFORE_ALL

NEVER = 2**60
events = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1000), st.integers(0, 1000)), max_size=30
)


def advanced(front: Front, progress: dict[int, int], idle_ms: int = NEVER, late_ms: int = 0) -> int:
    front.advance(progress, idle_ms, late_ms)
    return front.watermark_ms


@given(events, st.integers(1, 500), st.integers(0, 100))
def test_the_watermark_never_goes_back(
    some: list[tuple[int, int, int]], idle_ms: int, late_ms: int
) -> None:
    front, progress, marks = Front(partitions=4), dict[int, int](), [BEFORE_ALL]
    for partition, newest_ms, record_ms in some:
        progress[partition] = max(record_ms, progress.get(partition, 0))
        front.update(partition, newest_ms, record_ms)
        marks.append(advanced(front, progress, idle_ms, late_ms))
        front = Front.load(front.dump())
    assert marks == sorted(marks)


@given(events, st.integers(1, 500))
def test_it_is_the_lowest_of_the_partitions_that_are_not_idle(
    some: list[tuple[int, int, int]], idle_ms: int
) -> None:
    front, progress = Front(partitions=4), dict[int, int]()
    for partition, newest_ms, record_ms in some:
        progress[partition] = max(record_ms, progress.get(partition, 0))
        front.update(partition, newest_ms, record_ms)
    newest = {p: max(e for q, e, _ in some if q == p) for p, _, _ in some}
    spoke = {p: max(r for q, _, r in some if q == p) for p, _, _ in some}
    now, first = max(spoke.values(), default=0), min((r for *_, r in some), default=0)
    marks = [
        newest.get(p, BEFORE_ALL)
        for p in range(4)
        if (
            min(progress[p], now) - spoke[p] < idle_ms
            if p in spoke
            else progress.get(p, BEFORE_ALL) - first < idle_ms
        )
    ]
    assert advanced(front, progress, idle_ms) == (min(marks) if some else BEFORE_ALL)


@given(events, st.randoms(use_true_random=False))
def test_interleaving_and_chunks_change_nothing(
    some: list[tuple[int, int, int]], random: Random
) -> None:
    found = []
    for _ in range(2):
        front = Front(partitions=4)
        progress = dict.fromkeys(range(4), 1000)
        by_partition = [[e for e in some if e[0] == p] for p in range(4)]
        while any(by_partition):
            own = random.choice([log for log in by_partition if log])
            size = random.randint(1, len(own))
            taken, own[:] = own[:size], own[size:]
            front.update(taken[0][0], max(e for _, e, _ in taken), max(r for *_, r in taken))
        found.append((advanced(front, progress), front.heard))
    assert found[0] == found[1]


def test_a_partition_that_was_not_read_yet_holds_the_others_back() -> None:
    front = Front(partitions=2)
    front.update(0, 500, 500)
    assert advanced(front, {0: 500}, idle_ms=10) == BEFORE_ALL


def test_one_that_never_speaks_does_so_until_its_log_has_passed_the_idle_time() -> None:
    front = Front(partitions=2)
    front.update(0, 500, 500)
    assert advanced(front, {0: 500, 1: 509}, idle_ms=10) == BEFORE_ALL
    front = Front.load(front.dump())
    front.update(0, 520, 505)
    assert advanced(front, {0: 505, 1: 510}, idle_ms=10) == 520


def test_where_all_fall_silent_nobody_is_dropped() -> None:
    front = Front(partitions=2)
    front.update(0, 1000, 50)
    front.update(1, 100, 51)
    assert advanced(front, {0: 9000, 1: 9000}, idle_ms=10) == 100


def test_one_that_fell_silent_holds_back_until_the_idle_time_has_passed() -> None:
    front = Front(partitions=2)
    front.update(0, 100, 100)
    front.update(1, 90, 100)
    front.update(0, 120, 120)
    assert advanced(front, {0: 120, 1: 105}, idle_ms=10) == 90
    assert advanced(front, {0: 120, 1: 110}, idle_ms=10) == 120


def test_lateness_is_taken_off_and_a_floor_is_not() -> None:
    front = Front()
    front.update(0, 500, 500)
    assert advanced(front, {0: 500}, late_ms=60) == 440
    front.floor_ms = 470
    assert advanced(front, {0: 500}, late_ms=60) == 470
    assert not front.advance({0: 500}, NEVER, 60)


def test_nothing_heard_is_before_all_but_for_a_floor() -> None:
    front = Front(floor_ms=7)
    assert advanced(Front(), {}) == BEFORE_ALL
    assert advanced(front, {}) == 7


def test_records_without_times_are_never_idle() -> None:
    front = Front(partitions=2)
    front.update(0, 500, -1)
    front.update(1, 300, -1)
    assert advanced(front, {0: -1, 1: -1}, idle_ms=1) == 300


def test_plain_values_alone_are_dumped() -> None:
    front = Front()
    front.update(0, int(np.int64(5)), 6)
    assert front.dump() == ("", 1, BEFORE_ALL, BEFORE_ALL, 6, [(0, 5, 6)])
