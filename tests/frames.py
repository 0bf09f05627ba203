"""Frames: how the streams of Redis and Kafka fall into requests and answers, and which is which."""

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from agents.store.scripts import sources

Match = Callable[[bytes], bool]
PRODUCE, FETCH, METADATA, OFFSET_COMMIT, OFFSET_FETCH = 0, 1, 3, 8, 9
FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 10, 11, 12, 13, 14
INIT_PRODUCER = 22


class Frame(NamedTuple):
    """A piece of a stream. tag: what an answer shares with its request. text: what is matched."""

    tag: int
    raw: bytes
    text: bytes


class Framing(Protocol):
    """How one direction of a connection falls into frames."""

    def split(self, data: bytes) -> Iterator[Frame]:
        """The frames that have become complete."""


class Redis:
    """As the bytes come: one request of a connection is answered before the next is sent."""

    def __init__(self, *, answers: bool) -> None:
        self._end = b"" if answers else bytes(64)  # a digest may lie across two pieces

    def split(self, data: bytes) -> Iterator[Frame]:
        """One piece."""
        text, self._end = self._end + data, self._end and data[-64:]
        yield Frame(0, data, text)


class Kafka:
    """Kafka's frames: four bytes of length; answers carry the number of their request."""

    def __init__(self, *, answers: bool) -> None:
        self._at = 4 if answers else 8
        self._rest = b""

    def split(self, data: bytes) -> Iterator[Frame]:
        """Whole requests, or whole answers."""
        self._rest += data
        while len(self._rest) >= 4:
            end = 4 + int.from_bytes(self._rest[:4])
            if len(self._rest) < end:
                return
            raw, self._rest = self._rest[:end], self._rest[end:]
            yield Frame(int.from_bytes(raw[self._at : self._at + 4]), raw, raw)


def script(name: str) -> Match:
    """Requests to run one of the store's Lua scripts."""
    digest = hashlib.sha1(sources()[name].encode(), usedforsecurity=False).hexdigest().encode()
    return lambda text: digest in text


def api(key: int, *words: str) -> Match:
    """Requests of one of Kafka's kinds that speak of all of these names."""
    names = [word.encode() for word in words]
    return lambda text: int.from_bytes(text[4:6]) == key and all(name in text for name in names)
