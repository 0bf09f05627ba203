"""Packing: a header and raw arrays as one checked message. Knows nothing of what they mean.

    magic "DLB1" | crc32 of the rest, u32 | header length, u32 | zeros to 16 | header (msgpack) |
    zeros to 8 | arrays, each padded to 8

Everything is little-endian. The reader asks for the arrays in the order they were written.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from stream.envelopes import newer

MAGIC = b"DLB1"
_HEAD = struct.Struct("<4sIII")


def pack(header: bytes, arrays: list[npt.NDArray[np.generic]]) -> bytes:
    """One message of a header and its arrays, which must be contiguous."""
    parts: list[Any] = [struct.pack("<II", len(header), 0), header, _padding(len(header))]
    for array in arrays:
        parts += [array.data, _padding(array.nbytes)]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return b"".join([MAGIC, struct.pack("<I", checksum), *parts])


def packed_size(header: bytes, sizes: Iterable[int]) -> int:
    """How many bytes `pack` would make of arrays of so many bytes each."""
    return _HEAD.size + sum(size + -size % 8 for size in (len(header), *sizes))


class Reader:
    """The header, then the arrays, of one message. ValueError where it is not one of ours.

    Raises stream.envelopes.Newer for one of a later release.
    """

    def __init__(self, value: bytes) -> None:
        if len(value) < _HEAD.size:
            raise ValueError(f"not a batch: {len(value)} bytes")
        magic, checksum, length, _ = _HEAD.unpack_from(value)
        sound = zlib.crc32(memoryview(value)[8:]) == checksum
        if sound and magic[:3] == MAGIC[:3] and magic[3:] > MAGIC[3:]:
            raise newer(f"a batch of format {magic!r}")
        if magic != MAGIC:
            raise ValueError(f"not a batch: starts with {magic!r} instead of {MAGIC!r}")
        if not sound:
            raise ValueError(f"a batch of {len(value)} bytes is damaged: wrong checksum")
        self._value = value
        self._at = _HEAD.size
        self.header = bytes(self._bytes(length))

    def array(self, dtype: str, rows: int, n: int) -> npt.NDArray[np.generic]:
        """The next array, shape (rows, n), as a read-only view of the message."""
        kind = np.dtype(dtype)
        found = np.frombuffer(self._bytes(rows * n * kind.itemsize), kind)
        return found.reshape(rows, n)

    def finish(self) -> None:
        """ValueError if anything is left."""
        if self._at != len(self._value):
            raise ValueError(f"{len(self._value) - self._at} bytes too many in a batch")

    def _bytes(self, size: int) -> memoryview:
        start, end = self._at, self._at + size
        self._at = end + -size % 8
        if self._at > len(self._value):
            raise ValueError(f"a batch of {len(self._value)} bytes should have {self._at}")
        return memoryview(self._value)[start:end]


def _padding(size: int) -> bytes:
    return bytes(-size % 8)
