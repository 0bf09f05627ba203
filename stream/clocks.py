"""Clocks: how far each partition of the internal log has come with a model version.

Every partition hears of every model version from each chunk of the source, so all of them speak,
and the lowest watermark is a promise: nothing before it is still to come but what is late.
"""

import dataclasses

from stream.panes import BEFORE_ALL
from stream.signals import LabelQuiet, Quiet, Signals


@dataclasses.dataclass(slots=True)
class Clock:
    """What one partition said last. Times in epoch ms."""

    sequence: int = 0
    watermark_ms: int = BEFORE_ALL
    label_watermark_ms: int = BEFORE_ALL


class Gap(AssertionError):
    """A message of a partition is missing between the last one applied and this one."""


@dataclasses.dataclass(slots=True)
class Clocks:
    """The clocks of one model version, by partition. quiets: what they said of its silence.

    label_quiets: the same of its model's truth.
    """

    partitions: int = 0
    clocks: dict[int, Clock] = dataclasses.field(default_factory=dict)
    quiets: dict[int, Quiet] = dataclasses.field(default_factory=dict)
    label_quiets: dict[int, LabelQuiet] = dataclasses.field(default_factory=dict)

    def accept(self, signals: Signals) -> bool:
        """Whether a message is the next of its partition; False for one applied before.

        Raises Gap where messages before it are missing.
        """
        last = self.clocks.get(signals.partition, Clock()).sequence
        if signals.sequence > last + 1:
            raise Gap(
                f"{signals.model} {signals.version}: message {signals.sequence} of partition "
                f"{signals.partition} came after message {last}. Stop all workers and run: "
                "driftline repair signals"
            )
        return signals.sequence == last + 1

    def update(self, signals: Signals) -> None:
        """Take in what a message says of its partition."""
        self.partitions = max(self.partitions, signals.partitions)
        clock = self.clocks.setdefault(signals.partition, Clock())
        clock.sequence = signals.sequence
        clock.watermark_ms = max(clock.watermark_ms, signals.watermark_ms)
        clock.label_watermark_ms = max(clock.label_watermark_ms, signals.label_watermark_ms)
        if signals.quiet is not None:
            self.quiets[signals.partition] = signals.quiet
        if signals.label_quiet is not None:
            self.label_quiets[signals.partition] = signals.label_quiet

    def quiet(self) -> Quiet | None:
        """The newest event time, and up to when all partitions know of nothing newer."""
        if not self.quiets or len(self.quiets) < self.partitions:
            return None
        newest = max(newest_ms for newest_ms, _ in self.quiets.values())
        return newest, min(reached_ms for _, reached_ms in self.quiets.values())

    def label_quiet(self) -> LabelQuiet | None:
        """The same of truth, and the panes that are not sealed yet."""
        told = self.label_quiets.values()
        if not told or len(told) < self.partitions:
            return None
        panes = {pane for _, _, some in told for pane in some}
        return max(one[0] for one in told), min(one[1] for one in told), tuple(sorted(panes))

    def newest_label_ms(self) -> int:
        """The newest watermark of truth."""
        return max((c.label_watermark_ms for c in self.clocks.values()), default=BEFORE_ALL)

    def low_ms(self) -> int:
        """All predictions before it have been seen."""
        return self._low([c.watermark_ms for c in self.clocks.values()])

    def label_low_ms(self) -> int:
        """All outcomes before it are known: the truth, and the predictions it is about."""
        marks = [min(c.watermark_ms, c.label_watermark_ms) for c in self.clocks.values()]
        return self._low(marks)

    def _low(self, marks: list[int]) -> int:
        return min(marks) if marks and len(marks) >= self.partitions else BEFORE_ALL

    def dump(self) -> tuple[int, list[tuple[int, int, int, int]]]:
        """Plain values."""
        rows = sorted(self.clocks.items())
        found = [(p, c.sequence, c.watermark_ms, c.label_watermark_ms) for p, c in rows]
        return self.partitions, found

    @classmethod
    def load(cls, state: tuple[int, list[tuple[int, int, int, int]]]) -> "Clocks":
        """The clocks of `dump`."""
        partitions, rows = state
        return cls(partitions, {p: Clock(*values) for p, *values in rows})
