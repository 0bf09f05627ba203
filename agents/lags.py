"""Lags: how late the event loop turns, which is how long everything else has to wait for it."""

import asyncio
from collections.abc import Callable

LOOK_S = 0.02  # a pause is seen at its length less than this


async def lags(told: Callable[[float], object], stopped: Callable[[], bool]) -> None:
    """Tell of each turn how many seconds it was late."""
    loop = asyncio.get_running_loop()
    while not stopped():
        due_s = loop.time() + LOOK_S
        await asyncio.sleep(LOOK_S)
        told(max(0.0, loop.time() - due_s))
