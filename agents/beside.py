"""Beside the loop: work that takes its time runs in a thread, and the event loop goes on turning.

The threads and the loop share the interpreter: it is handed over every SWITCH_S, so that whatever
the loop has to do waits no longer than that for each of its steps, and for each thread that is at
work. So there are only two: more of them would do nothing sooner.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeVar

from stream.leisure import Interrupted, Leisure

Answer = TypeVar("Answer")
SWITCH_S = 0.001  # Python's own 5 ms are waited for at every step of the loop
TURN_S = 0.5  # of work at a stretch; then what waits for the same lock has its turn
SPELL_S = 0.005  # of the loop's own time at a stretch


def share_evenly() -> None:
    """Let threads of this process take turns more often."""
    sys.setswitchinterval(SWITCH_S)


class Beside:
    """The threads of one worker: one for what is brief, one for what takes its time."""

    def __init__(self) -> None:
        self._brief = ThreadPoolExecutor(1, "brief")
        self._long = ThreadPoolExecutor(1, "long")

    async def brief(self, work: Callable[[], Answer]) -> Answer:
        """The answer of work that others may wait for."""
        return await asyncio.get_running_loop().run_in_executor(self._brief, work)

    async def unhurried(
        self, work: Callable[[Leisure], Answer], wanted: Callable[[], bool]
    ) -> Answer:
        """The same as the function of this name."""
        return await unhurried(work, wanted, self._long)


class Spells:
    """Work of many small steps on the loop itself: others have their turn now and then, not after
    each step, where one turn of a busy loop takes longer than a hundred of them.
    """

    def __init__(self) -> None:
        self._since_s = time.monotonic()

    async def rest(self) -> None:
        """To be called after each step."""
        if time.monotonic() - self._since_s >= SPELL_S:
            await asyncio.sleep(0)
            self._since_s = time.monotonic()


async def unhurried(
    work: Callable[[Leisure], Answer],
    wanted: Callable[[], bool],
    executor: Executor | None = None,
) -> Answer:
    """The answer of work that runs in a thread, for about TURN_S.

    wanted: asked by the thread in between; once it says no, or whoever waits here is cancelled,
    the work is interrupted. executor: where the thread is from, else the loop's own.
    """
    given_up = threading.Event()

    def between() -> None:
        if given_up.is_set() or not wanted():
            raise Interrupted

    def done() -> Answer:
        end = time.monotonic() + TURN_S  # from when its turn has come

        def enough() -> bool:
            return time.monotonic() >= end or given_up.is_set() or not wanted()

        return work(Leisure(enough, between))

    try:
        return await asyncio.get_running_loop().run_in_executor(executor, done)
    finally:
        given_up.set()
