"""How pending entries come back from Redis: one packed string, which costs the client least."""

from collections.abc import Iterator, Sequence

import numpy as np

from stream.columns import Hashes

NONE = 0xFFFFFFFF
NOTHING = NONE.to_bytes(4, "big")


def values_of(blob: bytes) -> Iterator[bytes | None]:
    """The values of a lookup, in the order asked for: 4 bytes of length (all ones: none), value."""
    at, end = 0, len(blob)
    while at < end:
        length = int.from_bytes(blob[at : at + 4], "big")
        at += 4
        if length == NONE:
            yield None
        else:
            yield blob[at : at + length]
            at += length


def entries_of(blob: bytes) -> dict[int, bytes]:
    """The entries of a scan: 8 bytes of hash, 4 of length, value."""
    found: dict[int, bytes] = {}
    at, end = 0, len(blob)
    while at < end:
        start = at + 12
        stop = start + int.from_bytes(blob[at + 8 : start], "big")
        found[int.from_bytes(blob[at : at + 8], "big")] = blob[start:stop]
        at = stop
    return found


def hashes_of(blob: bytes) -> Hashes:
    """Hashes of 8 bytes each."""
    return np.frombuffer(blob, ">u8").astype(np.uint64)


def found_of(hashes: Sequence[int], blobs: Sequence[bytes]) -> dict[int, bytes]:
    """The entries that were there, of those asked for."""
    if b"".join(blobs) == len(hashes) * NOTHING:  # as nearly always for new predictions
        return {}
    values = (value for blob in blobs for value in values_of(blob))
    pairs = zip(hashes, values, strict=True)
    return {id_hash: value for id_hash, value in pairs if value is not None}
