"""Rollbacks: a Redis that knows less of a partition than it did, recognised and said.

It was restored from an older snapshot, lost the tail of its append-only file, failed over to a
replica that lagged, or was flushed. What it has lost is read from Kafka again and counted exactly
once, as long as Kafka still has it.
"""

import dataclasses

from agents.store import Claim


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What was known of a partition before it was claimed.

    committed: where Kafka was told to go on, None where it was not. seq: the newest checkpoint that
    this process made or found.
    """

    committed: int | None = None
    seq: int = 0


NOTHING = Told()


@dataclasses.dataclass(frozen=True, slots=True)
class Rollback:
    """A partition whose state in Redis is older than it was. next: None where there is no state."""

    where: str
    next: int | None
    seq: int
    told: Told

    @property
    def start(self) -> int:
        """From where Kafka is read again."""
        return self.next or 0

    def __str__(self) -> str:
        state = f"reaches up to offset {self.next}" if self.next is not None else "is gone"
        before = []
        if self.told.committed is not None and self.told.committed > self.start:
            before.append(f"Kafka was told offset {self.told.committed}")
        if self.told.seq > self.seq:
            before.append(f"checkpoint {self.told.seq} was here, and now {self.seq} is the last")
        return (
            f"{self.where}: Redis was rolled back: its state {state}, but {' and '.join(before)} "
            "(an older snapshot, the lost end of an append-only file, a failover, or FLUSHALL)"
        )


def recognised(where: str, claim: Claim, told: Told) -> Rollback | None:
    """The rollback that a claim shows; None where Redis knows all that was known."""
    found = Rollback(where, claim.next, claim.seq, told)
    behind = told.committed is not None and told.committed > found.start
    return found if behind or told.seq > claim.seq else None
