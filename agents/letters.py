"""Dead letters: the original record, byte for byte, with the reason and its place in headers."""

from collections.abc import Iterator

from agents.chunks import Record
from agents.producers import Message
from stream.changes import Headers, OutMessage

MAX_ERROR_CHARS = 500
ADDED = (
    "driftline-reason",
    "driftline-error",
    "driftline-topic",
    "driftline-partition",
    "driftline-offset",
    "driftline-timestamp",
    "driftline-left-out",
)


def told(record: Record, where: tuple[str, int], reason: str, error: str) -> Headers:
    """The headers of a dead letter: the record's own, then why and where. where: topic, partition.

    `schemas/dead-letter.v1.json` describes those that are added.
    """
    own = {
        "driftline-reason": reason,
        "driftline-error": error[:MAX_ERROR_CHARS],
        "driftline-topic": where[0],
        "driftline-partition": str(where[1]),
        "driftline-offset": str(record.offset),
        "driftline-timestamp": str(record.timestamp),
    }
    kept = tuple((name, value or b"") for name, value in record.headers if name not in ADDED)
    return kept + tuple((name, value.encode()) for name, value in own.items())


def letter(record: Record, where: tuple[str, int], reason: str, error: str) -> OutMessage:
    """A dead letter for an outbox."""
    headers = told(record, where, reason, error)
    return OutMessage("dead-letters", record.key or b"", record.value or b"", headers)


def shortened(letter: Message) -> Iterator[Message]:
    """The letter without its value, then without anything of the original but its place.

    A record that fills its topic does not fit another one together with our headers.
    """
    own = tuple((name, value) for name, value in letter.headers if name in ADDED)
    said = f"value, {len(letter.value or b'')} bytes".encode()
    yield Message(
        letter.topic, None, letter.key, None, (*letter.headers, ("driftline-left-out", said))
    )
    said = b"key, value and headers"
    yield Message(letter.topic, None, None, None, (*own, ("driftline-left-out", said)))
