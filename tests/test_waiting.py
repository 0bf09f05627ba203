import asyncio
import itertools
import logging

import pytest
import redis

from agents import waiting
from agents.store import Refused, Unavailable
from agents.waiting import REMIND_S, Outage, passes, pauses, until_redis_answers

PASSING = [
    redis.ConnectionError("refused"),
    redis.TimeoutError("slow"),
    ConnectionResetError("gone"),
    Unavailable("OOM in a script"),
    redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    redis.ReadOnlyError("You can't write against a read only replica."),
    redis.ResponseError("MISCONF Redis is configured to save RDB snapshots, but cannot"),
    redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
]
LASTING = [
    redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    redis.exceptions.NoPermissionError("no permissions to run the 'hset' command"),
    Refused("epoch", "ledger:1"),
    ValueError("ours"),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_S", 0.001)


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_passes_is_waited_for(error: Exception) -> None:
    failures, told = [error, error], []

    async def call() -> str:
        if failures:
            raise failures.pop()
        return "answer"

    assert asyncio.run(until_redis_answers(call, lambda: told.append(1))) == "answer"
    assert len(told) == 2


@pytest.mark.parametrize("error", LASTING, ids=str)
def test_what_does_not_pass_is_raised(error: Exception) -> None:
    async def call() -> None:
        raise error

    assert not passes(error)
    with pytest.raises(type(error)):
        asyncio.run(until_redis_answers(call))


def test_pauses_double_up_to_a_bound_and_chance_takes_up_to_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "FIRST_S", 1.0)
    monkeypatch.setattr(waiting, "LAST_S", 5.0)
    longest = (1.0, 2.0, 4.0, 5.0, 5.0)
    tries = [list(itertools.islice(pauses(), 5)) for _ in range(100)]
    for found in tries:
        assert all(most / 2 <= pause <= most for pause, most in zip(found, longest, strict=True))
    assert len({found[0] for found in tries}) > 50


class Clock:
    """Stands still until it is moved."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_an_outage_is_said_once_by_whichever_call_meets_it_and_once_when_the_last_is_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    clock = Clock()
    outage = Outage("Redis", clock)
    with outage.call():  # all is well
        pass
    with outage.call() as first:
        with outage.call() as second:
            for failed in (first, second) * 20:
                failed(redis.ConnectionError("refused"))
            clock.now_s += 2.5
        assert said(caplog) == ["Redis does not do its work, trying until it does: refused"]
    assert said(caplog)[1:] == ["Redis works again: 2.5 s, 40 tries"]


def test_an_outage_that_lasts_is_said_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock = Clock()
    with Outage("Kafka", clock).call() as failed:
        for _ in range(25):
            failed("refused")
            clock.now_s += REMIND_S / 10
    assert said(caplog)[1:-1] == [
        "Kafka has not done its work for 60 s, 11 tries: refused",
        "Kafka has not done its work for 120 s, 21 tries: refused",
    ]


def test_a_call_that_gives_up_ends_nothing_but_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    outage = Outage("Redis")

    def give_up() -> None:
        with outage.call() as failed:
            failed("refused")
            raise KeyError

    with pytest.raises(KeyError):
        give_up()
    assert len(caplog.records) == 1
    with outage.call() as failed:
        failed("refused")
    assert said(caplog)[1:] == [
        "Redis does not do its work, trying until it does: refused",
        "Redis works again: 0.0 s, 1 tries",
    ]
