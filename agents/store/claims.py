"""Claims: which owner made which checkpoints of a partition, as its history in Redis says.

A Redis that was rolled back (an older snapshot, a lost tail, a failover to a replica that lagged)
has forgotten checkpoints whose messages are in Kafka already. Each such message carries a stamp,
and the history tells whether the checkpoint it names is one that Redis still has.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

HEADER = "driftline-checkpoint"


class Stamp(NamedTuple):
    """A checkpoint: partition by its name in the store ("ledger:3"), number, and who made it.

    A number may be made twice, by two owners, after a rollback; never twice by one owner.
    """

    partition: str
    seq: int
    owner: str

    def header(self) -> tuple[str, bytes]:
        """As it travels with a message."""
        return HEADER, f"{self.partition} {self.seq} {self.owner}".encode()


def stamp_of(headers: Iterable[tuple[str, bytes | None]]) -> Stamp | None:
    """The stamp of a message; None for one without. Raises ValueError on anything else."""
    raw = next((value for name, value in headers if name == HEADER), None)
    if raw is None:
        return None
    parts = raw.decode(errors="replace").split(" ")
    stage, _, number = parts[0].partition(":")
    if len(parts) != 3 or stage != "ledger" or not (_whole(number) and _whole(parts[1])):
        raise ValueError(f"not a stamp of a ledger's checkpoint: {raw[:200]!r}")
    return Stamp(parts[0], int(parts[1]), parts[2])


def _whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


class Span(NamedTuple):
    """The checkpoints of one owner, both inclusive. newest: nobody has claimed since."""

    first: int
    last: int
    newest: bool


NONE = Span(1, 0, newest=False)


class History(NamedTuple):
    """What Redis says of some owners of a partition.

    seq: its checkpoints. waits: the last of them is committed, not yet applied. remembered: spans
    that begin before this one are not known any more (0: all are). owner: who has it now.
    """

    seq: int
    waits: bool
    remembered: int
    owner: str
    spans: dict[str, Span]

    def knows(self, stamp: Stamp) -> bool:
        """Whether it can be told at all who made a checkpoint."""
        return stamp.seq >= self.remembered or self.spans[stamp.owner] != NONE

    def has(self, stamp: Stamp) -> bool:
        """Whether a checkpoint is part of the state."""
        span = self.spans[stamp.owner]
        return span.first <= stamp.seq <= span.last

    def waits_for(self, stamp: Stamp) -> bool:
        """Whether a checkpoint is the one that is not applied yet."""
        return self.waits and stamp.seq == self.seq and self.has(stamp)


def history_of(reply: Sequence[Any], owners: Sequence[str]) -> History:
    """The answer of `claims.lua` to a question about these owners."""
    seq, waits, remembered, holder, *numbers = reply
    spans = {}
    for i, owner in enumerate(owners):
        first, last, newest = numbers[3 * i : 3 * i + 3]
        spans[owner] = Span(first, last, newest == 1) if first else NONE
    return History(seq, waits == 1, remembered, holder.decode(), spans)
