"""What is taken at once is what aiokafka hands out record by record, and so is the position."""

from typing import Any

from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]
    READ_COMMITTED,
    FetchResult,
    PartitionRecords,
)
from aiokafka.record.default_records import (  # type: ignore[import-untyped]
    DefaultRecordBatchBuilder,
)
from aiokafka.record.memory_records import MemoryRecords  # type: ignore[import-untyped]
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from agents.arrivals import take_at_once

TP = TopicPartition("t", 0)
PRODUCER = 7
# records by offset in a batch (compaction leaves holes), codec, whether in a transaction
batches = st.tuples(
    st.sets(st.integers(0, 9), max_size=10), st.sampled_from([0, 1, 3]), st.booleans()
)


class State:
    """aiokafka's position of a partition."""

    paused = False

    def __init__(self, position: int) -> None:
        self.position = position

    def consumed_to(self, position: int) -> None:
        self.position = position


class Assignment:
    """One of a single partition."""

    active = True

    def __init__(self, state: State) -> None:
        self.state = state

    def state_value(self, _: Any) -> State:
        return self.state


def batch(base: int, offsets: set[int], codec: int, transactional: bool) -> bytes:
    """A batch of ten offsets from base on, as a broker keeps it."""
    builder = DefaultRecordBatchBuilder(2, codec, transactional, PRODUCER, 0, 0, 1 << 20)
    for at in sorted(offsets | {9}):  # the last one is always there: the batch ends with it
        builder.append(at, 1_000 + at, None, b"%d" % (base + at), [])
    raw = bytes(builder.build())
    return base.to_bytes(8, "big") + raw[8:]


def result(raw: bytes, start: int, aborted: list[tuple[int, int]]) -> tuple[FetchResult, State]:
    state = State(start)
    records = PartitionRecords(
        TP, MemoryRecords(raw), aborted, start, None, None, True, READ_COMMITTED
    )
    held = FetchResult(TP, assignment=Assignment(state), partition_records=records, backoff=0)
    return held, state


def read(held: FetchResult, state: State, most: int | None) -> list[tuple[list[Any], int]]:
    """Every look: what it brought, and the position after it."""
    found = []
    while held.has_more():
        records = held.getall(most)
        told = [(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in records]
        found.append((told, state.position))
    return found


@given(
    st.lists(batches, max_size=5),
    st.integers(0, 12),
    st.none() | st.integers(1, 15),
    st.lists(st.integers(0, 4), max_size=2),
)
def test_records_and_positions_are_those_of_aiokafka(
    given_batches: list[tuple[set[int], int, bool]],
    start: int,
    most: int | None,
    aborted: list[int],
) -> None:
    raw = b"".join(batch(10 * i, *each) for i, each in enumerate(given_batches))
    dropped = [(PRODUCER, 10 * i) for i in aborted]
    expected = read(*result(raw, start, list(dropped)), most)
    held, state = result(raw, start, list(dropped))
    take_at_once(held)
    take_at_once(held)  # also where it was asked before
    assert read(held, state, most) == expected
