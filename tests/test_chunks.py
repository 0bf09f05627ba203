import asyncio
import dataclasses
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.chunks import TP, Chunk, Lane, Positions

A, B, C = TP("a", 0), TP("a", 1), TP("b", 0)


@dataclasses.dataclass
class Raw:
    offset: int
    value: bytes | None = b"12345"
    key: bytes | None = None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


def ready(positions: Positions, *tps: TP) -> list[Lane]:
    lanes = positions.open(tps)
    for lane in lanes:
        lane.ready = True
    return lanes


def fetched(positions: Positions, lane: Lane, base: int = 0, count: int = 1) -> Chunk:
    records = [Raw(base + i) for i in range(count)]
    return positions.buffered(lane, records, base, base + count)


async def ignore(chunk: Chunk) -> None: ...


def test_an_acknowledgement_is_what_is_committed_once() -> None:
    positions = Positions(8, 1_000)
    ready(positions, A, B)
    positions.ack(A, 5)
    assert positions.committable() == {A: 5}
    positions.committed({A: 5})
    assert positions.committable() == {}
    positions.ack(("a", 0), 7)
    assert positions.committable() == {A: 7}


@given(st.lists(st.integers(0, 2**62), min_size=1))
def test_a_position_never_goes_back_within_an_assignment(offsets: list[int]) -> None:
    positions = Positions(8, 1_000)
    ready(positions, A)
    for offset in offsets:
        positions.ack(A, offset)
    assert positions.committable() == {A: max(offsets)}


def test_parts_of_a_chunk_join_on_also_over_holes() -> None:
    chunk = Chunk("a", 0, [Raw(offset) for offset in (5, 6, 9, 12, 13)], 4, 20)
    parts = list(chunk.parts(2))
    assert [[r.offset for r in part.records] for part in parts] == [[5, 6], [9, 12], [13]]
    assert [(part.base, part.next) for part in parts] == [(4, 9), (9, 13), (13, 20)]


def test_a_chunk_ends_with_the_part_in_which_its_partition_is_given_back() -> None:
    positions = Positions(8, 1_000)
    (lane,) = ready(positions, A)
    parts = fetched(positions, lane, count=9).parts(3)
    assert next(parts).next == 3
    positions.close([A])
    assert list(parts) == []


def test_partitions_given_back_commit_until_they_are_forgotten() -> None:
    positions = Positions(8, 1_000)
    ready(positions, A)
    positions.close([A])
    positions.ack(A, 3)
    assert positions.committable() == {A: 3}
    positions.forget([A])
    positions.ack(A, 4)
    assert positions.committable() == {}
    assert positions.assigned() == set()


def test_only_partitions_that_stay_ours_are_living() -> None:
    positions = Positions(8, 1_000)
    ready(positions, A, B)
    positions.close([B])
    assert positions.living([A, B, C]) == [A]


def test_opened_again_begins_at_what_was_acknowledged_or_where_it_began() -> None:
    positions = Positions(8, 1_000)
    a, _ = ready(positions, A, B)
    fetched(positions, a, base=40, count=5)
    positions.ack(B, 9)
    assert [lane.begin for lane in positions.open([A, B])] == [40, 9]
    assert [lane.begin for lane in positions.open([A, B])] == [40, 9]
    positions.forget([A])
    assert [lane.begin for lane in positions.open([A])] == [None]


def test_nothing_is_fetched_before_the_position_is_known() -> None:
    positions = Positions(8, 1_000)
    (lane,) = positions.open([A])
    assert positions.wanted()[0] == []
    assert not positions.ready()
    lane.ready = True
    assert positions.wanted()[0] == [lane]
    assert positions.ready()


def test_a_chunk_of_an_earlier_assignment_never_reaches_the_handler() -> None:
    async def main() -> list[int]:
        positions, seen = Positions(8, 1_000), []

        async def handler(chunk: Chunk) -> None:
            seen.append(chunk.base)

        (before,) = ready(positions, A)
        stale = fetched(positions, before, base=100)
        (now,) = ready(positions, A)
        for chunk in (stale, fetched(positions, now, base=7)):
            await positions.handle(chunk, handler)
        return seen

    assert asyncio.run(main()) == [7]


def test_a_full_topic_leaves_room_for_the_others() -> None:
    positions = Positions(max_chunks=2, max_bytes=10**6)
    a, b, c = ready(positions, A, B, C)
    fetched(positions, a)
    fetched(positions, b)
    lanes, room, all_free = positions.wanted()
    assert lanes == [c]
    assert room == {"a": 0, "b": 2}
    assert not all_free


def test_a_full_partition_leaves_room_for_its_neighbours() -> None:
    positions = Positions(max_chunks=8, max_bytes=10**6, max_lane_chunks=1)
    a, b = ready(positions, A, B)
    fetched(positions, a)
    assert positions.wanted()[0] == [b]


def test_bytes_are_bounded_and_freed_by_handling() -> None:
    async def main() -> None:
        positions = Positions(max_chunks=8, max_bytes=50)
        lane, _ = ready(positions, A, C)
        chunk = fetched(positions, lane, count=10)
        assert chunk.size == 50
        assert positions.wanted()[0] == []
        await positions.handle(chunk, ignore)
        assert len(positions.wanted()[0]) == 2

    asyncio.run(main())


def test_a_handler_that_raises_frees_its_room_and_is_heard() -> None:
    async def main() -> None:
        positions = Positions(max_chunks=1, max_bytes=50)
        (lane,) = ready(positions, A)

        async def fails(chunk: Chunk) -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await positions.handle(fetched(positions, lane), fails)
        await asyncio.wait_for(positions.idle([A]), 1)
        assert positions.wanted()[0] == [lane]

    asyncio.run(main())


def test_idle_waits_for_the_handler_also_of_an_earlier_assignment() -> None:
    async def main() -> None:
        positions, free = Positions(8, 1_000), asyncio.Event()
        (lane,) = ready(positions, A)

        async def handler(chunk: Chunk) -> None:
            await free.wait()

        running = asyncio.ensure_future(positions.handle(fetched(positions, lane), handler))
        await asyncio.sleep(0)
        ready(positions, A)
        waiting = asyncio.ensure_future(positions.idle([A, B]))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        free.set()
        await asyncio.wait_for(waiting, 1)
        await running

    asyncio.run(main())


@given(st.integers(1, 12), st.integers(1, 40))
def test_partitions_take_turns(partitions: int, rounds: int) -> None:
    positions = Positions(8, 10**9)
    ready(positions, *(TP("a", p) for p in range(partitions)))
    firsts = Counter(positions.wanted()[0][0].tp.partition for _ in range(rounds * partitions))
    assert set(firsts.values()) == {rounds}
    assert len(firsts) == partitions
