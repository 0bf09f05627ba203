"""Work beside the event loop: it goes on turning, and an end that is not waited for is an end."""

import asyncio
import threading

import pytest

from agents.beside import unhurried
from stream.leisure import Interrupted, Leisure


def test_the_loop_turns_while_the_work_goes_on() -> None:
    async def scenario() -> int:
        turns = 0
        go = threading.Event()
        work = asyncio.create_task(unhurried(lambda _: go.wait(30), lambda: True))
        while turns < 5:
            await asyncio.sleep(0)
            turns += 1
        go.set()
        assert await work
        return turns

    assert asyncio.run(scenario()) == 5


def test_the_answer_and_the_error_are_those_of_the_work() -> None:
    def fail(_: Leisure) -> int:
        raise ValueError("no")

    assert asyncio.run(unhurried(lambda _: 7, lambda: True)) == 7
    with pytest.raises(ValueError, match="no"):
        asyncio.run(unhurried(fail, lambda: True))


def until_interrupted(leisure: Leisure) -> bool:
    while True:
        try:
            leisure.between()
        except Interrupted:
            return leisure.enough()


def test_work_that_is_not_wanted_any_more_is_interrupted() -> None:
    asked = iter([True, True, False, False])
    assert asyncio.run(unhurried(until_interrupted, lambda: next(asked)))


def test_work_that_nobody_waits_for_any_more_is_interrupted() -> None:
    ended = threading.Event()

    def work(leisure: Leisure) -> None:
        until_interrupted(leisure)
        ended.set()

    async def scenario() -> None:
        task = asyncio.create_task(unhurried(work, lambda: True))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(ended.wait, 30)

    asyncio.run(scenario())
