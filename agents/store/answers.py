"""What Redis answers: a claim, a refusal, or a contradiction."""

import dataclasses
from typing import Literal, cast

import redis

Kind = Literal["epoch", "seq", "redo", "order", "ledger"]
REASONS = {
    "epoch": "another owner has claimed the partition since",
    "seq": "its checkpoint number has been used by another attempt",
    "redo": "an earlier checkpoint is committed but not applied",
    "order": "messages leave the outbox from its head, without holes",
    "ledger": "what was taken in from it is not in Redis any more",
}


class Refused(Exception):
    """Redis refused: drop the partition's memory, claim again if it is still assigned, reload."""

    def __init__(self, kind: Kind, partition: str) -> None:
        super().__init__(f"{partition}: refused ({kind}): {REASONS[kind]}")
        self.kind = kind


class Damaged(Exception):
    """What lies in Redis contradicts itself; waiting will not help."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What a new owner finds. next and topic_id are None before the first checkpoint.

    epoch: a counter. seq: checkpoints so far. next: where to read from. pending: entries waiting.
    backlog: messages in the outbox. recovered: a committed record had to be finished first.
    """

    epoch: int
    seq: int
    next: int | None
    topic_id: str | None
    pending: int
    backlog: int
    recovered: bool


def accepted(answer: bytes, partition: str) -> None:
    """Nothing for "ok" and "already". Raises Refused, or an outage where staged chunks are lost."""
    word = answer.decode()
    if word in REASONS:
        raise Refused(cast(Kind, word), partition)
    if word == "incomplete":
        raise redis.ConnectionError(f"{partition}: Redis lost staged chunks; try again")
