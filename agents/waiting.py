"""Waiting: what is unreachable is tried again, slower and slower, until it answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agents.store import OUTAGES

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
FIRST_S, LAST_S = 0.1, 5.0


async def until_redis_answers(
    call: Callable[[], Awaitable[Answer]], told: Callable[[], object] = lambda: None
) -> Answer:
    """The answer of `call`, however long Redis is away: back-pressure, never a loss.

    told: called once for every try that failed. `call` must be safe to repeat.
    """
    pause_s = FIRST_S
    while True:
        try:
            return await call()
        except OUTAGES as error:
            told()
            log.warning("Redis does not answer, trying again in %.1f s: %s", pause_s, error)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_S)
