"""Envelopes of what lies in Redis: sealed as it is written, checked before it is used."""

import dataclasses

from agents.store.answers import Damaged
from agents.store.changes import Changes
from stream.envelopes import Unsound, seal, unseal

ADVICE = (
    "Nothing of it is used, and nothing is acknowledged. Restore Redis from a whole copy; without "
    "one, give other names to begin anew: `prefix` of [topics], `key_prefix` of [redis] and "
    "`group_id` of [kafka]."
)


def sealed(partition: str, changes: Changes) -> Changes:
    """The same changes with every field in an envelope."""
    puts = {field: seal(_place(partition, field), raw) for field, raw in changes.puts.items()}
    return dataclasses.replace(changes, puts=puts)


def opened(partition: str, field: str, raw: bytes) -> bytes:
    """The value of a field. Raises Damaged."""
    return _opened(_place(partition, field), raw)


def sealed_body(partition: str, attempt: str, number: int, body: bytes) -> bytes:
    """A body of the outbox in an envelope."""
    return seal(_body(partition, attempt, number), body)


def opened_body(partition: str, attempt: str, number: int, raw: bytes) -> bytes:
    """A body of the outbox. Raises Damaged."""
    return _opened(_body(partition, attempt, number), raw)


def _place(partition: str, field: str) -> str:
    return f"field {field!r} of {partition}"


def _body(partition: str, attempt: str, number: int) -> str:
    return f"body {number} of {attempt} in the outbox of {partition}"


def _opened(place: str, raw: bytes) -> bytes:
    try:
        return unseal(place, raw)
    except Unsound as error:
        raise Damaged(f"{error}. {ADVICE}") from None
