"""Beside the loop: work that takes its time runs in a thread, and the event loop goes on turning.

The thread and the loop share the interpreter: it is handed over every SWITCH_S, so that whatever
the loop has to do waits no longer than that for each of its steps.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from stream.leisure import Interrupted, Leisure

Answer = TypeVar("Answer")
SWITCH_S = 0.001  # Python's own 5 ms are waited for at every step of the loop
TURN_S = 0.5  # of work at a stretch; then what waits for the same lock has its turn


def share_evenly() -> None:
    """Let threads of this process take turns more often."""
    sys.setswitchinterval(SWITCH_S)


async def unhurried(work: Callable[[Leisure], Answer], wanted: Callable[[], bool]) -> Answer:
    """The answer of work that runs in a thread, for about TURN_S.

    wanted: asked by the thread in between; once it says no, or whoever waits here is cancelled,
    the work is interrupted.
    """
    end, given_up = time.monotonic() + TURN_S, threading.Event()

    def between() -> None:
        if given_up.is_set() or not wanted():
            raise Interrupted

    def enough() -> bool:
        return time.monotonic() >= end or given_up.is_set() or not wanted()

    try:
        return await asyncio.to_thread(work, Leisure(enough, between))
    finally:
        given_up.set()
