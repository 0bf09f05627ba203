"""What a keeper had in memory when somebody else took its partition is never seen again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from agents.chunks import Chunk, Record
from agents.intake import Intake
from agents.origins import Origins
from agents.producers import Message
from agents.store import Changes, Partition
from tests.keepers import Adder, House, rows
from tests.servers import Kafka

Scenario = Callable[[House], Awaitable[None]]
Play = Callable[[Scenario], None]


@pytest.fixture
def play(redis_url: str, mock_kafka: Kafka, namespace: str) -> Play:
    async def run(scenario: Scenario) -> None:
        house = House(redis_url, mock_kafka.bootstrap, namespace)
        try:
            await scenario(house)
        finally:
            await house.close()

    return lambda scenario: asyncio.run(run(scenario))


def test_after_a_refusal_memory_is_that_of_redis_again(play: Play) -> None:
    async def scenario(house: House) -> None:
        mine, theirs = Adder(), Adder()
        first = await house.opened(mine)
        await first.handle(rows(0, 1), 0, 1)  # which Redis never hears of
        second = await house.opened(theirs)
        await second.handle(rows(0, 1, 2), 0, 2)
        await second.close()
        await first.checkpoint()
        assert first.refused
        assert (await first.open(), mine.total) == (2, 3)
        await first.handle(rows(2, 4), 2, 3)
        await first.close()
        last = Adder()
        assert (await house.keeper(last).open(), last.total) == (3, 7)

    play(scenario)


def test_what_was_never_committed_is_never_published(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(house: House) -> None:
        published: list[Message] = []

        async def deliver(messages: Sequence[Message]) -> None:
            published.extend(messages)

        monkeypatch.setattr(house.context.producer, "deliver", deliver)
        keeper = await house.opened()
        await keeper.handle(rows(0, 1), 0, 1)
        await house.opened()
        await keeper.checkpoint()
        assert (keeper.refused, published) == (True, [])

    play(scenario)


def test_a_message_of_a_checkpoint_that_redis_has_lost_is_passed_over(play: Play) -> None:
    async def scenario(house: House) -> None:
        ledger = house.store_partition()
        await ledger.claim()
        made = ledger.stamp
        await ledger.checkpoint(ledger.prepare(Changes(puts={"a": b"1"}), 1, None))
        told = [made, made._replace(seq=2), made._replace(owner="7:nobody"), None]
        assert await Origins(house.context).sift(told) == [True, False, False, True]

    play(scenario)


def test_a_chunk_that_kafka_does_not_have_is_not_acknowledged(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(house: House) -> None:
        async def deliver(_: Sequence[Message]) -> None:
            raise ConnectionError("nobody there")

        topic = house.context.topic("predictions")
        house.context.partitions = {**house.context.partitions, topic: 1}
        monkeypatch.setattr(house.context.producer, "deliver", deliver)
        records = rows(0, 1)
        with pytest.raises(ConnectionError):
            await Intake(house.context).handle(Chunk(topic, 0, records, 0, 1))
        assert house.acked == []

    play(scenario)


class Failing(Adder):
    """Fails in the middle of a chunk, when it is told to."""

    failing = False

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        await super().apply(partition, records[:1])
        if self.failing:
            raise ArithmeticError("half-way")
        await super().apply(partition, records[1:])


def test_half_a_chunk_is_never_written_with_the_work_before_it(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = Failing()
        keeper = await house.opened(core)
        await keeper.handle(rows(0, 1, 1), 0, 2)
        core.failing = True
        with pytest.raises(ArithmeticError):
            await keeper.handle(rows(2, 10, 20), 2, 4)
        await keeper.close()
        successor = Adder()
        position = await house.keeper(successor).open()
        assert (position, successor.total) == (0, 0)

    play(scenario)


class Slow(Adder):
    """Gives way to others in the middle of a chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.resume = asyncio.Event(), asyncio.Event()

    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        await super().apply(partition, records[:1])
        self.reached.set()
        await self.resume.wait()
        await super().apply(partition, records[1:])


def test_a_partition_is_not_given_back_in_the_middle_of_a_chunk(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = Slow()
        keeper = await house.opened(core)
        core.resume.set()
        await keeper.handle(rows(0, 1, 1), 0, 2)
        core.reached.clear()
        core.resume.clear()
        half = asyncio.create_task(keeper.handle(rows(2, 10, 20), 2, 4))
        await core.reached.wait()
        closing = asyncio.create_task(keeper.close())
        await asyncio.sleep(0.2)  # as long as it would take to write the half of it
        core.resume.set()
        await asyncio.gather(half, closing)
        successor = Adder()
        position = await house.keeper(successor).open()
        assert (position, successor.total) == (4, 32)

    play(scenario)
