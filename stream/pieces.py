"""Pieces: what msgpack makes of a large document, a piece at a time.

One call for tens of megabytes would keep the interpreter from every other thread for as long.
"""

import struct
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

Order = Literal["sorted"] | None
_PARTS = list[msgspec.Raw]


def pieces(document: Any, depth: int = 2, order: Order = None) -> Iterator[bytes]:
    """Together the same bytes as of `msgspec.msgpack.encode`; maps and lists are cut at `depth`.

    >>> b"".join(pieces({"b": [1], "a": {}}, order="sorted")).hex()
    '82a16180a1629101'
    """
    if depth == 0 or not isinstance(document, dict | list):
        yield msgspec.msgpack.encode(document, order=order)
    elif isinstance(document, list):
        yield _head(len(document), 0x90, 0xDC)
        for value in document:
            yield from pieces(value, depth - 1, order)
    else:
        yield _head(len(document), 0x80, 0xDE)
        for key in sorted(document) if order else document:
            yield msgspec.msgpack.encode(key)
            yield from pieces(document[key], depth - 1, order)


def together(packed: Any, depth: int = 2) -> Any:
    """The document of msgpack's bytes, whose maps have words as keys; read as `pieces` cuts it.

    Raises msgspec's DecodeError where they are damaged.
    """
    first = memoryview(packed)[0] if depth else 0
    if first & 0xF0 == 0x80 or first in (0xDE, 0xDF):
        parts = msgspec.msgpack.decode(packed, type=dict[str, msgspec.Raw])
        return {key: together(part, depth - 1) for key, part in parts.items()}
    if first & 0xF0 == 0x90 or first in (0xDC, 0xDD):
        return [together(x, depth - 1) for x in msgspec.msgpack.decode(packed, type=_PARTS)]
    return msgspec.msgpack.decode(packed)


def _head(size: int, few: int, more: int) -> bytes:
    """How a list or a map of so many begins."""
    if size < 16:
        return bytes([few | size])
    return struct.pack(">BH", more, size) if size < 2**16 else struct.pack(">BI", more + 1, size)
