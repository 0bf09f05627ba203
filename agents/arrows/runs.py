"""Runs: Arrow messages one behind the other, those of one schema read as one.

What comes of them is what comes of each alone: where anything in a run is to be refused, each of
its messages is read again by itself.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from agents.arrows.tables import Message, Place, blocks_of, message_of
from stream.batches.blocks import Block, Kind
from stream.events import Rejected

MOST_BYTES = 4_000_000  # of values in a run: its columns are copied
Check = Callable[[Block], None]


@dataclasses.dataclass(slots=True)
class Tables:
    """Blocks of rows, and what was refused by source offset."""

    blocks: list[Block] = dataclasses.field(default_factory=list)
    refused: dict[int, Rejected] = dataclasses.field(default_factory=dict)


def tables_in(kind: Kind, values: Sequence[tuple[bytes | None, Place]], check: Check) -> Tables:
    """The rows of all messages. check: raises Rejected for a block that is not to be taken."""
    found = Tables()
    for run in _runs(list(_messages(kind, values, found))):
        try:
            found.blocks += _checked(kind, run, check)
        except Rejected as error:
            _one_by_one(kind, run, check, error, found)
    return found


def _messages(
    kind: Kind, values: Sequence[tuple[bytes | None, Place]], found: Tables
) -> Iterator[Message]:
    for value, place in values:
        try:
            yield message_of(kind, value, place)
        except Rejected as error:
            found.refused[place.offset] = error


def _runs(messages: Sequence[Message]) -> Iterator[list[Message]]:
    run: list[Message] = []
    for message in messages:
        if run and not _fits(message, run):
            yield run
            run = []
        run.append(message)
    if run:
        yield run


def _fits(message: Message, run: Sequence[Message]) -> bool:
    alike = message.batch.schema.equals(run[0].batch.schema) and message.is_plain
    return alike and sum(one.size for one in run) + message.size <= MOST_BYTES


def _checked(kind: Kind, run: Sequence[Message], check: Check) -> list[Block]:
    blocks = blocks_of(kind, run)
    for block in blocks:
        check(block)
    return blocks


def _one_by_one(
    kind: Kind, run: Sequence[Message], check: Check, error: Rejected, found: Tables
) -> None:
    if len(run) == 1:
        found.refused[run[0].place.offset] = error
        return
    for message in run:
        try:
            found.blocks += _checked(kind, [message], check)
        except Rejected as own:
            found.refused[message.place.offset] = own
