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
AWAY = {
    "Redis is away, or takes no writes now": "every call is tried again, 0.1 to 5 s apart, until it"
    " is answered; nothing is acknowledged meanwhile, and buffers that are full stop the reading",
    "Kafka is away": "what is to be published is tried again in the same way, first things first;"
    " offsets that cannot be committed are a warning, for Redis knows better",
    "the other side falls silent": "a connection without an answer for `timeout_s` of [redis], or"
    " `request_timeout_s` of [kafka], is given up, and another is made; each keeper's calls are"
    " bounded, so that this needs no TCP keep-alive",
    "the outcome of a request is not known": "it is sent again: every script and every message may"
    " arrive twice",
    "it lasts": "`/readyz` names what is away, `/healthz` stays good; the log says it at the"
    " beginning, once a minute, and at the end; `driftline_outages_total` and"
    " `driftline_kafka_outages_total` count the tries",
    "a worker is told to stop meanwhile": "it finishes what it can within 60 % of `shutdown_s` of"
    " [worker] and ends within the whole of it, with exit code 75 where work was left, which the"
    " next worker does again",
    "a worker is started meanwhile": "it says what does not answer, and ends with exit code 69",
}


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
