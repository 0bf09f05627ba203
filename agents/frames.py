"""Frames: what a broker answers, gathered as it comes and put together once.

asyncio's own reader keeps what has come in one growing array: megabytes of records are moved
several times, the socket is paused and resumed every 128 kB, and whoever waits is woken at each
piece. Built on inner parts of asyncio and of aiokafka 0.14.
"""

import asyncio
import functools
from typing import Any

SMALL = 1 << 16  # bytes: below it asyncio's own way is as good


class Frames(asyncio.StreamReader):
    """A reader whose `readexactly` gathers the pieces of a large frame."""

    _buffer: bytearray
    _eof: bool
    _pieces: list[bytes]
    _missing = 0  # bytes of the frame that is being gathered

    async def readexactly(self, n: int) -> bytes:
        """So many bytes. Raises IncompleteReadError where the stream ends before."""
        if n < SMALL or n <= len(self._buffer) or self.exception() is not None:
            return await super().readexactly(n)
        self._pieces, self._missing = [bytes(self._buffer)], n - len(self._buffer)
        self._buffer.clear()
        try:
            while self._missing > 0 and not self._eof:
                await self._wait_for_data("readexactly")  # type: ignore[attr-defined]
            found, missing = b"".join(self._pieces), self._missing
        finally:
            self._pieces, self._missing = [], 0
        if missing:
            raise asyncio.IncompleteReadError(found, n)
        return found

    def feed_data(self, data: Any) -> None:
        """A piece that came: of the frame, and what is left of it for the next one."""
        own = min(len(data), self._missing)
        if own:
            self._pieces.append(bytes(data) if own == len(data) else bytes(data[:own]))
            self._missing -= own
            if not self._missing:
                self._wakeup_waiter()  # type: ignore[attr-defined]
        if own < len(data):
            super().feed_data(data[own:])


def gather(client: Any) -> None:
    """Let all connections of an aiokafka client read so."""
    find = client._get_conn

    @functools.wraps(find)
    async def found(*args: Any, **more: Any) -> Any:
        connection = await find(*args, **more)
        if connection is not None and type(connection._reader) is asyncio.StreamReader:
            connection._reader.__class__ = Frames
        return connection

    client._get_conn = found
