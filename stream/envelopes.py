"""Envelopes: a value of a partition's state, with what it takes to trust it when it comes back.

    magic "DLe" | format (1 byte) | xxh3-64 of the place and the body (8 bytes) | body

The place is part of the checksum: what belongs elsewhere is as foreign as what is damaged. What is
inside is msgpack or arrays, never anything that could run code.
"""

import xxhash

MAGIC = b"DLe"
FORMAT = 1
HEAD_BYTES = 12


class Newer(ValueError):
    """Sound bytes of a later release, which this one must neither read nor pass over."""


class Unsound(ValueError):
    """Bytes that are not the value that was put there. The message names the place."""


def seal(place: str, body: bytes) -> bytes:
    """An envelope. place: whose value it is, such as "ledger:3 book/m/1"."""
    return MAGIC + bytes((FORMAT,)) + _checksum(place, body) + body


def unseal(place: str, raw: bytes) -> bytes:
    """The body of an envelope. Raises Unsound, and nothing else, whatever the bytes."""
    if len(raw) < HEAD_BYTES or not raw.startswith(MAGIC):
        raise Unsound(f"{place}: {len(raw)} bytes that Driftline has not written, or cut short")
    if raw[3] != FORMAT:
        raise Unsound(
            f"{place}: format {raw[3]}, and this release reads {FORMAT}: another release wrote it"
        )
    body = raw[HEAD_BYTES:]
    if raw[4:HEAD_BYTES] != _checksum(place, body):
        raise Unsound(f"{place}: {len(raw)} bytes, damaged or put elsewhere: the checksum is wrong")
    return body


def newer(what: str) -> Newer:
    """The error for a message of a later release. what: such as "a batch of format DLB2"."""
    return Newer(
        f"{what} was written by a later release, and this one cannot read it. All workers of a "
        "group must be of one release: install the later one here"
    )


def _checksum(place: str, body: bytes) -> bytes:
    return xxhash.xxh3_64_digest(body, seed=xxhash.xxh3_64_intdigest(place.encode()))
