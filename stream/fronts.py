"""Fronts: how far event time has come, by what each source partition has shown so far.

Within one source partition records keep their order, between them there is none. So the front of
a model is the lowest of its source partitions' newest event times, and what is late does not
depend on which partition happened to be read first. A source partition whose log is known to have
passed `idle_ms` of record time without the model does not hold the others back.
"""

import dataclasses
from collections.abc import Mapping

from stream.panes import BEFORE_ALL

State = tuple[str, int, int, int, int | None, list[tuple[int, int, int]]]


@dataclasses.dataclass(slots=True)
class Heard:
    """The newest event time and record time of a model in one source partition, epoch ms."""

    newest_ms: int
    record_ms: int


@dataclasses.dataclass(slots=True)
class Front:
    """One model version's predictions, or one model's truth. floor_ms: stated by a control event.

    topic, partitions: the source topic, and how many partitions it has. watermark_ms: no event
    before it is expected; it never goes back, also where an idle source partition speaks again.
    since_ms: the record time from which source partitions are waited for that have said nothing.
    """

    topic: str = ""
    partitions: int = 1
    floor_ms: int = BEFORE_ALL
    watermark_ms: int = BEFORE_ALL
    since_ms: int | None = None
    heard: dict[int, Heard] = dataclasses.field(default_factory=dict)

    def update(self, partition: int, newest_ms: int, record_ms: int) -> None:
        """Take in what a source partition has shown."""
        self.since_ms = record_ms if self.since_ms is None else min(self.since_ms, record_ms)
        known = self.heard.get(partition)
        if known is None:
            known = self.heard[partition] = Heard(newest_ms, record_ms)
        known.newest_ms = max(known.newest_ms, newest_ms)
        known.record_ms = max(known.record_ms, record_ms)

    @property
    def record_ms(self) -> int:
        """The newest record time, 0 before the first record."""
        return max((h.record_ms for h in self.heard.values()), default=0)

    def advance(
        self,
        progress: Mapping[int, int],
        idle_ms: int,
        lateness_ms: int,
        most_ms: int | None = None,
    ) -> bool:
        """Let the watermark follow; whether it moved. progress: newest record time of each source
        partition, of any model; a partition without one has not been read yet. most_ms: beyond
        which it does not go, if anything holds it.
        """
        lowest = self._lowest(progress, idle_ms)
        reached = max(self.floor_ms, lowest - lateness_ms if lowest > BEFORE_ALL else BEFORE_ALL)
        reached = reached if most_ms is None else min(reached, most_ms)
        if reached <= self.watermark_ms:
            return False
        self.watermark_ms = reached
        return True

    def _lowest(self, progress: Mapping[int, int], idle_ms: int) -> int:
        """The lowest newest event time of the source partitions that are not idle.

        Those that have spoken are idle against the newest record of the model, so one of them
        never is, and none is dropped because all fell silent.
        """
        newest, since = self.record_ms, self.since_ms
        if since is None:
            return BEFORE_ALL
        marks = []
        for partition in range(max(self.partitions, max(self.heard) + 1)):
            heard, at = self.heard.get(partition), progress.get(partition, BEFORE_ALL)
            if heard is None:
                if at - since < idle_ms:
                    return BEFORE_ALL
            elif min(at, newest) - heard.record_ms < max(idle_ms, 1):
                marks.append(heard.newest_ms)
        return min(marks)

    def silence(self, progress: Mapping[int, int], idle_ms: int) -> tuple[int, int] | None:
        """The newest event time, and what it would be by now, while nobody says anything.

        Event time is taken to pass as fast as record time does, in the source partition that is
        furthest behind. None where not all of them are known to be idle.
        """
        if not self.heard:
            return None
        partitions = range(max(self.partitions, max(self.heard) + 1))
        passed = min(progress.get(p, BEFORE_ALL) for p in partitions) - self.record_ms
        if passed < max(idle_ms, 1):
            return None
        newest = max(heard.newest_ms for heard in self.heard.values())
        return newest, newest + passed

    def dump(self) -> State:
        """Plain values."""
        heard = [(p, h.newest_ms, h.record_ms) for p, h in sorted(self.heard.items())]
        return (
            self.topic,
            self.partitions,
            self.floor_ms,
            self.watermark_ms,
            self.since_ms,
            heard,
        )

    @classmethod
    def load(cls, state: State) -> "Front":
        """The front of `dump`."""
        topic, partitions, floor_ms, watermark_ms, since_ms, rows = state
        heard = {p: Heard(newest, at) for p, newest, at in rows}
        return cls(topic, partitions, floor_ms, watermark_ms, since_ms, heard)
