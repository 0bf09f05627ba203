"""A TCP proxy of the tests' own, between a client and its server: it cuts, delays, falls silent.

It runs in a thread of its own, may be told what to do from any, and keeps its address while the
server behind it comes and goes. What a proxy in user space cannot do: withhold TCP's own
acknowledgements, so that the kernel's keep-alive never notices anything here.
"""

import asyncio
import contextlib
import dataclasses
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Self, TypeVar

from tests.brokers import ApacheKafka
from tests.frames import Frame, Kafka, Match, Redis

Answer = TypeVar("Answer")
Place = Literal["before", "within", "after"]
READ_BYTES = 2**16
CONTROL_S = 10.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST and drops what was not sent


@dataclasses.dataclass(slots=True)
class Fault:
    """Cut the connection at the next `left` requests that match; hits: how often it was done.

    place: before the request reaches the server, within it, or after the server has answered it.
    """

    place: Place
    match: Match
    left: int
    hits: int = 0

    @property
    def done(self) -> bool:
        """Whether it was done as often as was asked for."""
        return not self.left and self.hits > 0


@dataclasses.dataclass(slots=True)
class Counts:
    """What went through, and what was done to it."""

    connections: int = 0
    cuts: int = 0
    refused: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    swallowed: int = 0


class Proxy:
    """`with Proxy("127.0.0.1:6379") as proxy: proxy.address`; the target may be told later."""

    def __init__(self, target: str = "", framing: type[Redis] | type[Kafka] = Redis) -> None:
        self.target, self.framing = target, framing
        self.counts = Counts()
        self.port = 0
        self.delay_s = 0.0
        self.silent = False
        self.refusing = False
        self.faults: list[Fault] = []
        self._links: set[_Link] = set()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        """The same, as Redis clients take it."""
        return f"redis://{self.address}/0"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(CONTROL_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._tell(self._end.set)
        self._thread.join(CONTROL_S)

    # What may be done to it, from any thread; done once the call returns

    def heal(self) -> None:
        """All is well from now on; connections that were silent stay so, their bytes are gone."""
        self._tell(self._heal)

    def cut(self) -> int:
        """Reset all connections; how many there were."""
        return self._tell(self._cut)

    def refuse(self) -> None:
        """Reset all connections, and every new one, until `heal`."""
        self._tell(self._refuse)

    def silence(self) -> None:
        """The other side is gone without a word: no answer, no RST, for old and new connections."""
        self._tell(self._silence)

    def delay(self, delay_s: float) -> None:
        """Every piece of an answer comes so much later."""
        self._tell(lambda: setattr(self, "delay_s", delay_s))

    def lose(self, match: Match = lambda _: True, place: Place = "after", count: int = 1) -> Fault:
        """Cut the connection at the next matching requests: before, within, or after the server
        has done what was asked, so that its answer is lost.
        """
        fault = Fault(place, match, count)
        self._tell(lambda: self.faults.append(fault))
        return fault

    def _tell(self, call: Callable[[], Answer]) -> Answer:
        async def told() -> Answer:
            return call()

        return asyncio.run_coroutine_threadsafe(told(), self._loop).result(CONTROL_S)

    def _heal(self) -> None:
        self.silent = self.refusing = False
        self.delay_s = 0.0
        self.faults.clear()

    def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    def _refuse(self) -> None:
        self.refusing = True
        self._cut()

    def _silence(self) -> None:
        self.silent = True
        for link in self._links:
            link.silent = True

    # In its own thread

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its last."""
        self.counts.connections += 1
        link = _Link(self, client, back)
        if self.refusing or self._end.is_set():
            self.counts.refused += 1
            link.reset()
            return
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def fault(self, text: bytes) -> Fault | None:
        """What is to be done to this request."""
        for fault in self.faults:
            if fault.left and fault.match(text):
                fault.left -= 1
                return fault
        return None


class _Link:
    """One connection of a client, and ours to the server for it."""

    def __init__(
        self, proxy: Proxy, client: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> None:
        self.proxy, self.client, self.back = proxy, client, back
        self.silent = proxy.silent
        self.ended = asyncio.Event()
        self.forth: asyncio.StreamWriter | None = None
        self._doomed: defaultdict[int, list[Fault]] = defaultdict(list)

    def cut(self) -> None:
        """Reset it, on both sides."""
        self.proxy.counts.cuts += 1
        self.reset()

    def reset(self) -> None:
        """The same, and not counted."""
        self._settle()
        for writer in (self.back, self.forth):
            if writer is not None:
                with contextlib.suppress(OSError):
                    raw: socket.socket = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
        self.ended.set()

    async def run(self) -> None:
        """Until either side, or the test, ends it."""
        host, port = self.proxy.target.split(":")
        try:
            server, self.forth = await asyncio.open_connection(host, int(port))
        except OSError:
            self.reset()
            return
        if self.ended.is_set():  # cut in the meantime
            self.reset()
            return
        pumps = (self._requests(self.forth), self._answers(server), self.ended.wait())
        tasks = [asyncio.ensure_future(pump) for pump in pumps]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close()

    def _settle(self) -> None:
        """Answers that were to be lost are, whatever it was that cut the connection."""
        for fault in (fault for faults in self._doomed.values() for fault in faults):
            fault.hits += 1
        self._doomed.clear()

    async def _close(self) -> None:
        self._settle()
        for writer in (self.back, self.forth):
            if writer is not None:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _requests(self, forth: asyncio.StreamWriter) -> None:
        framing = self.proxy.framing(answers=False)
        while data := await self.client.read(READ_BYTES):
            self.proxy.counts.bytes_in += len(data)
            for frame in framing.split(data):
                if not self._ask(forth, frame):
                    return
            await forth.drain()

    def _ask(self, forth: asyncio.StreamWriter, frame: Frame) -> bool:
        """Pass a request on; whether the connection lives."""
        if self.silent:
            self.proxy.counts.swallowed += len(frame.raw)
            return True
        fault = self.proxy.fault(frame.text)
        if fault is None or fault.place == "after":
            forth.write(frame.raw)
            if fault is not None:
                self._doomed[frame.tag].append(fault)
            return True
        fault.hits += 1
        if fault.place == "within":
            forth.write(frame.raw[: len(frame.raw) // 2])
        self.cut()
        return False

    async def _answers(self, server: asyncio.StreamReader) -> None:
        framing = self.proxy.framing(answers=True)
        while data := await server.read(READ_BYTES):
            for frame in framing.split(data):
                if self.proxy.delay_s:
                    await asyncio.sleep(self.proxy.delay_s)
                if frame.tag in self._doomed:
                    return self.cut()
                self._answer(frame)
            await self.back.drain()
        return None

    def _answer(self, frame: Frame) -> None:
        if self.silent:
            self.proxy.counts.swallowed += len(frame.raw)
            return
        self.proxy.counts.bytes_out += len(frame.raw)
        self.back.write(frame.raw)


@contextlib.contextmanager
def proxied_kafka(folder: Path) -> Iterator[tuple[ApacheKafka, Proxy]]:
    """A broker, and a proxy whose clients are never told another address. Raises Unavailable."""
    with Proxy(framing=Kafka) as proxy, ApacheKafka(folder, proxy.port) as broker:
        proxy.target = broker.behind
        yield broker, proxy
