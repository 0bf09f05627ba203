import asyncio
import logging

import pytest
import redis

from agents import waiting
from agents.store import Refused, Unavailable
from agents.waiting import passes, until_redis_answers

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


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_passes_is_waited_for(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_S", 0.001)
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


def test_waiting_says_so_and_grows(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FIRST_S", 0.001)
    monkeypatch.setattr(waiting, "LAST_S", 0.003)
    caplog.set_level(logging.WARNING)
    left = [redis.ConnectionError("away")] * 4

    async def call() -> None:
        if left:
            raise left.pop()

    asyncio.run(until_redis_answers(call))
    assert len(caplog.records) == 4
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == [
        0.001,
        0.002,
        0.003,
        0.003,
    ]
