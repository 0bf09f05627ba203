"""The supervisor: several workers of one group on one machine, as children of one command.

Each child is a `driftline worker` of its own, at its own port. One that ends unasked is started
again, more slowly each time; where Kafka, Redis or the settings cannot be used, which another start
would not change, all are ended. Told to stop, it tells the children and waits for them.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from agents.children import bound
from agents.complaints import BadSettings
from agents.settings import PREFIX, Settings

log = logging.getLogger(__name__)

HOPELESS = (2, 69)  # exit codes after which another start does not help
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
LONG_S = 60.0  # one that ran for so long begins with the shortest pause again
MAX_IN_A_ROW = 10  # ends, each soon after its start, after which all are ended


def ports(settings: Settings, count: int) -> list[int]:
    """Where each child answers about itself: `http.port` and those after it. Raises BadSettings."""
    first = settings.http.port
    if not first:
        return [0] * count
    if first + count - 1 > 65_535:
        raise BadSettings(f"http.port = {first}: {count} workers need as many ports from there on")
    return list(range(first, first + count))


class Supervisor:
    """count children that run `command`, one for each port.

    first_pause_s: before the first new start of one that ended; then twice as long, and so on.
    """

    def __init__(
        self, command: Sequence[str], ports: Sequence[int], first_pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self.command, self.ports, self.first_pause_s = command, ports, first_pause_s
        self.children: dict[int, asyncio.subprocess.Process] = {}
        self.codes: dict[int, int] = {}
        self.stopping = asyncio.Event()

    async def run(self) -> int:
        """Until told to stop, or until it is hopeless; answers the worst child's exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await asyncio.gather(*(self._keep(place) for place in range(len(self.ports))))
        return max(self.codes.values())

    def stop(self) -> None:
        """Tell all children to stop; told twice, they end at once."""
        self.stopping.set()
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)

    async def _keep(self, place: int) -> None:
        """One child after the other."""
        ends = 0
        while not self.stopping.is_set():
            began = time.monotonic()
            code = await self._child(place)
            self.codes[place] = code
            if self.stopping.is_set():
                return
            ends = 1 if time.monotonic() - began > LONG_S else ends + 1
            if why := _hopeless(code, ends):
                log.critical("worker %d ended with %d, %s: ending all", place, code, why)
                self.stop()
                return
            pause_s = min(LONGEST_PAUSE_S, self.first_pause_s * 2 ** (ends - 1))
            log.error("worker %d ended with %d: starting it again in %g s", place, code, pause_s)
            await self._pause(pause_s)

    async def _child(self, place: int) -> int:
        """Start one and wait for its end; one that a signal ended has 128 and its number.

        0 where it was our own signal, before it knew what to do with it: it had not begun.
        """
        child = await asyncio.create_subprocess_exec(
            *bound(self.command, signal.SIGTERM),
            env=_environment(self.ports[place]),
            start_new_session=True,  # Ctrl-C is for us, who tell them once
        )
        self.children[place] = child
        log.info("worker %d is process %d%s", place, child.pid, _at(self.ports[place]))
        if self.stopping.is_set():
            child.send_signal(signal.SIGTERM)
        try:
            code = await child.wait()
        finally:
            del self.children[place]
        if code == -signal.SIGTERM and self.stopping.is_set():
            return 0
        return code if code >= 0 else 128 - code

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self.stopping.wait()
        except TimeoutError:
            pass


def _hopeless(code: int, ends: int) -> str:
    """Why not to start one again, if so. ends: how many in a row, each soon after its start.

    One that is started again while Redis is away finds that; the others wait for it to come back.
    """
    if code in HOPELESS and ends == 1:
        return "another start would not help"
    return f"{ends} times in a row" if ends >= MAX_IN_A_ROW else ""


def _environment(port: int) -> Mapping[str, str]:
    return os.environ | {f"{PREFIX}HTTP__PORT": str(port)}


def _at(port: int) -> str:
    return f", http.port {port}" if port else ""


def supervise(settings: Settings, arguments: Sequence[str], count: int) -> int:
    """Run `driftline worker` with these arguments so many times; the exit code.

    Raises BadSettings where there are not ports enough.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    command = [sys.executable, "-m", "agents.commands", "worker", *arguments]
    places = ports(settings, count)

    async def work() -> int:
        return await Supervisor(command, places).run()

    return asyncio.run(work())
