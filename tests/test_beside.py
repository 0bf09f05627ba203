"""Work beside the event loop: it goes on turning, and an end that is not waited for is an end."""

import asyncio
import threading

import pytest

from agents.beside import Beside, Spells, unhurried
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


def test_one_thread_for_what_is_brief_and_one_for_what_takes_its_time() -> None:
    async def scenario() -> set[str]:
        beside, go = Beside(), threading.Event()
        long = asyncio.create_task(beside.unhurried(lambda _: go.wait(30), lambda: True))
        names = [beside.brief(lambda: threading.current_thread().name) for _ in range(5)]
        found = await asyncio.gather(*names)  # while the other is at work
        go.set()
        assert await long
        return set(found)

    assert len(asyncio.run(scenario())) == 1


def test_small_steps_give_way_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    async def turns(steps: int) -> int:
        found = 0

        async def count() -> None:
            nonlocal found
            while True:
                await asyncio.sleep(0)
                found += 1

        counting, spells = asyncio.create_task(count()), Spells()
        for _ in range(steps):
            await spells.rest()
        counting.cancel()
        return found

    monkeypatch.setattr("agents.beside.SPELL_S", 1e9)
    assert asyncio.run(turns(100)) == 0
    monkeypatch.setattr("agents.beside.SPELL_S", 0.0)
    assert asyncio.run(turns(100)) >= 99
