"""Waiting: what is unreachable is tried again, slower and slower, until it answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis

from agents.store import OUTAGES

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
FIRST_S, LAST_S = 0.1, 5.0
PASSING = (
    redis.exceptions.OutOfMemoryError,
    redis.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
)
CODES = ("MISCONF ", "NOREPLICAS ", "LOADING ", "BUSY ")


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
        except (*OUTAGES, redis.ResponseError) as error:
            if not passes(error):
                raise
            told()
            log.warning("Redis does not answer, trying again in %.1f s: %s", pause_s, error)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_S)


def passes(error: Exception) -> bool:
    """Whether waiting may help: Redis is away, or answers that it takes no writes now."""
    return isinstance(error, OUTAGES + PASSING) or str(error).startswith(CODES)
