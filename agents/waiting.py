"""Waiting: what is unreachable is tried again, slower and slower, until it answers."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import redis

from agents.store import OUTAGES

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
Failed = Callable[[object], None]
Told = Callable[[], object]
FIRST_S, LAST_S = 0.1, 5.0
REMIND_S = 60.0  # an outage that lasts is said again so often
PASSING = (
    redis.exceptions.OutOfMemoryError,
    redis.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
)
CODES = ("MISCONF ", "NOREPLICAS ", "LOADING ", "BUSY ")


def pauses() -> Iterator[float]:
    """Seconds between tries: they double up to a bound, and chance takes off up to half, so that
    workers which lost a server together do not come back to it all at once.
    """
    pause_s = FIRST_S
    while True:
        yield pause_s * random.uniform(0.5, 1.0)
        pause_s = min(2 * pause_s, LAST_S)


def nobody() -> None:
    """Nobody counts."""


class Outage:
    """A server as all calls of this process see it: that it is away is said once, not by all."""

    def __init__(self, server: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.server, self.clock = server, clock
        self.calls = 0  # that wait now
        self.tries = 0  # that failed, since it is away
        self.since_s = self.said_s = 0.0

    @contextlib.contextmanager
    def call(self, told: Told = nobody) -> Iterator[Failed]:
        """Around one call, however often it is tried: what it yields is told of every failure.

        told: called as often, to count.
        """
        waits = False

        def failed(error: object) -> None:
            nonlocal waits
            self.calls += not waits
            waits = True
            told()
            self._failed(error)

        ended = False
        try:
            yield failed
            ended = True
        finally:
            self.calls -= waits
            if waits and not self.calls:
                self._over(said=ended)

    def _over(self, *, said: bool) -> None:
        """No call waits any more: the last one is through, or has given up."""
        if said:
            away_s = self.clock() - self.since_s
            log.warning("%s works again: %.1f s, %d tries", self.server, away_s, self.tries)
        self.tries = 0

    def _failed(self, error: object) -> None:
        now_s = self.clock()
        self.tries += 1
        if self.tries == 1:
            self.since_s = self.said_s = now_s
            log.warning("%s does not do its work, trying until it does: %s", self.server, error)
        elif now_s - self.said_s >= REMIND_S:
            self.said_s = now_s
            told = (self.server, now_s - self.since_s, self.tries, error)
            log.warning("%s has not done its work for %.0f s, %d tries: %s", *told)


async def until_redis_answers(
    call: Callable[[], Awaitable[Answer]], told: Told = nobody, outage: Outage | None = None
) -> Answer:
    """The answer of `call`, however long Redis is away: back-pressure, never a loss.

    told: called once for every try that failed. `call` must be safe to repeat.
    """
    with (outage or Outage("Redis")).call(told) as failed:
        for pause_s in pauses():
            try:
                return await call()
            except (*OUTAGES, redis.ResponseError) as error:
                if not passes(error):
                    raise
                failed(error)
            await asyncio.sleep(pause_s)
    raise AssertionError("pauses never end")


def passes(error: Exception) -> bool:
    """Whether waiting may help: Redis is away, or answers that it takes no writes now."""
    return isinstance(error, OUTAGES + PASSING) or str(error).startswith(CODES)
