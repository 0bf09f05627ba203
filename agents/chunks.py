"""Chunks of records, and the positions of the partitions this worker was given.

What is here knows neither Kafka nor Faust: `agents.consumers` feeds it, tests drive it directly.
All of it belongs to one event loop. Asyncio, counts and offsets; no I/O of its own.
"""

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class TP(NamedTuple):
    """A topic and the number of one of its partitions."""

    topic: str
    partition: int


class Record(Protocol):
    """One raw Kafka record; timestamp in ms since the epoch, headers as (name, bytes) pairs."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclasses.dataclass(slots=True, eq=False)
class Lane:
    """One assignment of one partition. A new one is a new lane: that is how old chunks die."""

    tp: TP
    live: bool = True  # False: not one more chunk of it reaches a handler
    ready: bool = False  # its position is set; fetching may start
    acked: int | None = None
    committed: int | None = None
    begin: int | None = None  # where it began: what an application that knows no better repeats
    expected: int | None = None  # where the next chunk should begin
    chunks: int = 0  # buffered or in the handler
    size: int = 0  # bytes of those


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Records of one partition, in order, never empty.

    base: the position they were read from. next: the position after them. Both may leave holes
    (compaction, transaction markers), but the base is the last chunk's next unless records are
    missing or the position was moved.
    """

    topic: str
    partition: int
    records: Sequence[Record]
    base: int
    next: int
    size: int = 0  # bytes of keys and values
    lane: Lane | None = None

    @property
    def tp(self) -> TP:
        """Topic and partition as a key."""
        return TP(self.topic, self.partition)

    def parts(self, most: int) -> Iterator["Chunk"]:
        """The same as chunks of at most so many records, as long as the partition is ours.

        Whoever waits for a partition to be given back waits for one of them, not for all.
        """
        for first in range(0, len(self.records), most):
            if self.lane is None or self.lane.live:
                yield self._part(first, first + most)

    def _part(self, first: int, stop: int) -> "Chunk":
        records = self.records[first:stop]
        base = records[0].offset if first else self.base
        after = self.records[stop].offset if stop < len(self.records) else self.next
        return dataclasses.replace(self, records=records, base=base, next=after)


Handler = Callable[[Chunk], Awaitable[None]]
Assigned = Callable[[set[TP]], Awaitable[Mapping[TP, int | None]]]
Revoked = Callable[[set[TP]], Awaitable[None]]


class Positions:
    """This worker's partitions: what is buffered, what is acknowledged, what may be fetched."""

    def __init__(self, max_chunks: int, max_bytes: int, max_lane_chunks: int = 2) -> None:
        self.max_chunks = max_chunks
        self.max_bytes = max_bytes
        self.max_lane_chunks = max_lane_chunks
        self.reopen: Callable[[Iterable[TP]], None] = lambda _: None  # set by the app
        self._lanes: dict[TP, Lane] = {}
        self._idle: dict[TP, asyncio.Event] = {}
        self._turn = 0

    def ack(self, tp: tuple[str, int], next_offset: int) -> None:
        """Everything below next_offset is done; Kafka is told within the commit interval.

        Ignored for a partition that is not (or no longer) ours; never goes backwards.
        """
        lane = self._lanes.get(TP(*tp))
        if lane is not None:
            lane.acked = max(next_offset, lane.acked or 0)

    def assigned(self) -> set[TP]:
        """The partitions we have, ready or not."""
        return set(self._lanes)

    def ready(self) -> bool:
        """Whether every partition we have knows where to read from."""
        return all(lane.ready for lane in self._lanes.values())

    def lane(self, tp: TP) -> Lane | None:
        """The current assignment of a partition."""
        return self._lanes.get(tp)

    def living(self, tps: Iterable[tuple[str, int]]) -> list[TP]:
        """Those of them that we have and are not about to give back."""
        ours = (self._lanes.get(TP(*tp)) for tp in tps)
        return [lane.tp for lane in ours if lane is not None and lane.live]

    def open(self, tps: Iterable[TP]) -> list[Lane]:
        """New lanes, not yet ready; what was buffered for these partitions is void."""
        wanted = list(tps)
        self.close(wanted)
        for tp in wanted:
            before = self._lanes.get(tp, Lane(tp))
            begin = before.begin if before.acked is None else before.acked
            self._lanes[tp] = Lane(tp, begin=begin)
        return [self._lanes[tp] for tp in wanted]

    def close(self, tps: Iterable[TP]) -> None:
        """No handler gets another chunk of these; acknowledgements still count."""
        for tp in tps:
            if tp in self._lanes:
                self._lanes[tp].live = False

    def forget(self, tps: Iterable[TP]) -> None:
        """These partitions are not ours any more."""
        self.close(tps)
        for tp in tps:
            self._lanes.pop(tp, None)

    def committable(self) -> dict[TP, int]:
        """What Kafka has not been told yet."""
        return {
            tp: lane.acked
            for tp, lane in self._lanes.items()
            if lane.acked is not None and lane.acked != lane.committed
        }

    def committed(self, offsets: Mapping[TP, int]) -> None:
        """Kafka has been told."""
        for tp, offset in offsets.items():
            if tp in self._lanes:
                self._lanes[tp].committed = offset

    def wanted(self) -> tuple[list[Lane], dict[str, int], bool]:
        """Lanes to fetch for, in turn; how many chunks each topic has room for; whether all may."""
        lanes = list(self._lanes.values())
        buffered: Counter[str] = Counter()
        for lane in lanes:
            buffered[lane.tp.topic] += lane.chunks
        room = {lane.tp.topic: self.max_chunks - buffered[lane.tp.topic] for lane in lanes}
        if sum(lane.size for lane in lanes) >= self.max_bytes:
            return [], room, False
        free = [x for x in lanes if x.ready and x.live and self._has_room(x, room)]
        self._turn += 1
        cut = self._turn % len(free) if free else 0
        return free[cut:] + free[:cut], room, len(free) == len(lanes)

    def _has_room(self, lane: Lane, room: Mapping[str, int]) -> bool:
        return lane.chunks < self.max_lane_chunks and room[lane.tp.topic] > 0

    def buffered(self, lane: Lane, records: Sequence[Record], base: int, after: int) -> Chunk:
        """A chunk just fetched, counted until it is handled."""
        size = _size([r.value for r in records]) + _size([r.key for r in records])
        lane.chunks += 1
        lane.size += size
        lane.begin = base if lane.begin is None else lane.begin
        lane.expected = after
        return Chunk(lane.tp.topic, lane.tp.partition, records, base, after, size, lane)

    async def handle(self, chunk: Chunk, handler: Handler) -> None:
        """Give a chunk to its handler, unless its partition was taken away since."""
        lane = chunk.lane
        assert lane is not None
        idle = self._idle.setdefault(lane.tp, asyncio.Event())
        idle.clear()
        try:
            if lane.live:
                await handler(chunk)
        finally:
            lane.chunks -= 1
            lane.size -= chunk.size
            idle.set()

    async def idle(self, tps: Iterable[TP]) -> None:
        """Wait until no handler works on any of these partitions."""
        for tp in tps:
            if tp in self._idle:
                await self._idle[tp].wait()


def _size(parts: Sequence[bytes | None]) -> int:
    return sum(map(len, filter(None, parts)))
