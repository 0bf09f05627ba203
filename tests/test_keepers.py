import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import confluent_kafka as ck
import pytest

from agents.chunks import Record
from agents.embedded import EmbeddedRedis, free_port
from agents.keepers import Keeper, Missing, Replaced, Unfit
from agents.store import Partition
from tests.keepers import Adder, House, rows
from tests.servers import Kafka

Play = Callable[[Callable[[House], Awaitable[None]]], None]


@pytest.fixture
def play(redis_url: str, mock_kafka: Kafka, namespace: str) -> Play:
    def run(scenario: Callable[[House], Awaitable[None]]) -> None:
        asyncio.run(_run(House(redis_url, mock_kafka.bootstrap, namespace), scenario))

    return run


async def _run(house: House, scenario: Callable[[House], Awaitable[None]]) -> None:
    try:
        await scenario(house)
    finally:
        await house.close()


def total(keeper: Keeper) -> int:
    assert isinstance(keeper.core, Adder)
    return keeper.core.total


def published(kafka: Kafka, topic: str, count: int) -> list[bytes]:
    """The first values of a topic, however its partitions are read."""
    config = {"bootstrap.servers": kafka.bootstrap, "group.id": "r", "log_level": 2}
    consumer = ck.Consumer(config)
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([ck.TopicPartition(topic, p, 0) for p in partitions])
    found: list[bytes] = []
    with contextlib.closing(consumer):
        while len(found) < count:
            messages = consumer.consume(1, 10)
            assert messages, f"only {found}"
            found += [m.value() or b"" for m in messages]
        ends = [consumer.get_watermark_offsets(ck.TopicPartition(topic, p)) for p in partitions]
        assert sum(end for _, end in ends) == count
    return found


def test_a_position_is_acknowledged_once_it_is_durable(play: Play) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1, 2, 3), 0, 3)
        assert house.acked == []
        await keeper.checkpoint()
        assert house.acked == [(house.tp, 3)]
        await keeper.checkpoint()  # nothing is new
        assert house.acked == [(house.tp, 3)]

    play(scenario)


def test_housekeeping_is_made_durable_without_a_record(play: Play) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 5), 0, 1)
        await keeper.checkpoint()
        await keeper.housekeeping()
        await keeper.checkpoint()
        again = await house.opened()
        assert (total(again), again.next) == (6, 1)
        await keeper.housekeeping()  # refused: somebody else is the owner
        assert (keeper.live, house.lost) == (False, [house.tp])
        await keeper.housekeeping()
        assert total(keeper) == 6

    play(scenario)


def test_a_record_is_acknowledged_once_what_follows_from_it_is_done(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = Adder()
        keeper = await house.opened(core)
        await keeper.handle(rows(0, 3), 0, 3)
        core.waiting = 2
        await keeper.checkpoint()
        assert (house.acked, total(await house.opened())) == ([], 3)

    play(scenario)


def test_between_two_parts_of_work_a_checkpoint_has_its_turn(play: Play) -> None:
    class Slow(Adder):
        async def work(self) -> None:
            await super().work()
            await asyncio.sleep(0.01)

    async def scenario(house: House) -> None:
        core = Slow()
        core.waiting = 100
        keeper = await house.opened(core)
        working = asyncio.create_task(keeper.work())
        await asyncio.sleep(0.05)
        await keeper.checkpoint()
        assert 0 < core.waiting < 100
        assert house.acked == []  # there were no records
        await working
        await keeper.checkpoint()
        assert total(await house.opened()) == 100

    play(scenario)


def test_what_somebody_waits_for_is_published_at_once(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = Adder()
        core.waiting, core.urgent_at = 5, 2
        keeper = await house.opened(core)
        await keeper.work()
        assert (core.waiting, keeper.dirty_s is None) == (0, False)
        assert total(await house.opened()) == 3

    play(scenario)


def test_a_partition_that_is_to_be_given_back_is_left_with_work_to_do(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = Adder()
        core.waiting = 5
        keeper = await house.opened(core)
        house.context.ours = lambda _: core.waiting > 3
        await keeper.work()
        await keeper.close()
        assert (core.waiting, total(await house.opened())) == (3, 2)

    play(scenario)


def test_a_successor_goes_on_where_the_last_checkpoint_was(play: Play) -> None:
    async def scenario(house: House) -> None:
        first = await house.opened()
        await first.handle(rows(0, 1, 2), 0, 2)
        await first.checkpoint()
        await first.handle(rows(2, 4), 2, 3)
        second = house.keeper()
        assert (await second.open(), total(second)) == (2, 3)
        await second.handle(rows(2, 4, 8), 2, 6)  # two offsets were compacted away
        await second.close()
        third = house.keeper()
        assert (await third.open(), total(third)) == (6, 15)

    play(scenario)


def test_who_was_replaced_writes_nothing_and_says_so(play: Play) -> None:
    async def scenario(house: House) -> None:
        first = await house.opened()
        await first.handle(rows(0, 1), 0, 1)
        await house.opened()
        await first.checkpoint()
        assert (first.live, first.refused, house.lost, house.acked) == (False, True, [house.tp], [])
        await first.handle(rows(1, 5), 1, 2)
        await first.checkpoint()
        assert total(first) == 1
        assert house.acked == []
        third = house.keeper()
        assert (await third.open(), total(third)) == (0, 0)

    play(scenario)


def test_who_is_replaced_while_opening_does_not_end_the_worker(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1), 0, 1)
        monkeypatch.setattr(house.context.producer, "deliver", _stuck)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await keeper.checkpoint()  # durable, and then Kafka is away
        second = house.keeper()

        async def replaced(*_: Any) -> None:
            await house.store_partition().claim()

        monkeypatch.setattr(house.context.producer, "deliver", replaced)
        await second.open()
        assert (second.live, second.refused, house.lost) == (False, True, [house.tp])

    play(scenario)


async def _stuck(*_: Any) -> None:
    await asyncio.sleep(60)


def test_what_is_durable_is_published_by_the_successor_if_it_has_to_be(
    play: Play, mock_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = []

    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1), 0, 1)
        with monkeypatch.context() as patch:
            patch.setattr(house.context.producer, "deliver", _stuck)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await keeper.close()
        assert not keeper.live
        assert house.acked == [(house.tp, 1)]
        await house.opened()
        topics.append(house.context.topic("alerts"))

    play(scenario)
    assert published(mock_kafka, topics[0], 1) == [b"1"]


def test_messages_are_published_once_and_in_order(play: Play, mock_kafka: Kafka) -> None:
    topics = []

    async def scenario(house: House) -> None:
        core = Adder()
        core.messages = 5
        keeper = await house.opened(core)
        await keeper.handle(rows(0, 10), 0, 1)
        await keeper.checkpoint()
        await keeper.handle(rows(1, 10), 1, 2)
        await keeper.close()
        topics.append(house.context.topic("alerts"))

    play(scenario)
    expected = [str(value).encode() for value in (*range(10, 15), *range(20, 25))]
    assert published(mock_kafka, topics[0], 10) == expected


def test_memory_of_a_cancelled_checkpoint_is_never_written(
    own_redis: EmbeddedRedis, mock_kafka: Kafka, namespace: str
) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1, 2), 0, 2)
        await keeper.checkpoint()
        await keeper.handle(rows(2, 4), 2, 3)
        own_redis.kill()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await keeper.close()
        own_redis.start()
        await keeper.checkpoint()
        assert not keeper.live
        assert house.acked == [(house.tp, 2)]
        successor = house.keeper()
        assert (await successor.open(), total(successor)) == (2, 3)

    asyncio.run(_run(House(own_redis.url, mock_kafka.bootstrap, namespace), scenario))


def test_so_many_bytes_do_not_wait_for_their_time(play: Play) -> None:
    async def scenario(house: House) -> None:
        worker = house.context.settings.worker.model_copy(update={"max_unsaved_bytes": 3})
        house.context.settings = house.context.settings.model_copy(update={"worker": worker})
        keeper = await house.opened()
        await keeper.handle(rows(0, 1, 2), 0, 2)
        assert (house.acked, keeper.unsaved) == ([], 2)
        await keeper.handle(rows(2, 4, 8), 2, 4)
        assert (house.acked, keeper.unsaved) == ([(house.tp, 4)], 0)
        assert keeper.partition.backlog == 0  # published, before anything more is taken in

    play(scenario)


class Failing(Adder):
    async def apply(self, partition: Partition, records: Sequence[Record]) -> None:
        await super().apply(partition, records[:1])
        raise ArithmeticError("half-way")


def test_memory_after_an_error_is_never_written(play: Play) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened(Failing())
        with pytest.raises(ArithmeticError):
            await keeper.handle(rows(0, 1, 2), 0, 2)
        await keeper.close()
        successor = house.keeper()
        assert (await successor.open(), total(successor)) == (0, 0)

    play(scenario)


def test_records_that_kafka_has_dropped_end_the_worker(play: Play) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1), 0, 1)
        house.starts[house.tp] = 10
        words = r"records 1 to 9 \(9\) were never counted.*begins at 10.*driftline repair events$"
        with pytest.raises(Missing, match=words):
            await keeper.handle(rows(10, 5), 10, 11)
        await keeper.close()
        assert (total(keeper), house.acked) == (1, [])

    play(scenario)


@pytest.mark.parametrize(("base", "said"), [(10, "instead of 3"), (1, "ends before it")])
def test_records_that_are_passed_over_or_cut_off_end_the_worker(
    play: Play, base: int, said: str
) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1, 1, 1), 0, 3)
        with pytest.raises(Missing, match=said):
            await keeper.handle(rows(base, 5), base, base + 1)
        await keeper.close()
        assert house.acked == []

    play(scenario)


IDENTITIES = [
    ("two", 4, "was deleted and made anew.*driftline repair events$"),
    ("one", 8, "had 4 partitions and has 8"),
    ("", 8, "had 4 partitions and has 8"),
    ("one", 4, None),
    ("", 4, None),  # a Kafka that knows no identities
]


@pytest.mark.parametrize(("topic_id", "partitions", "said"), IDENTITIES)
def test_a_state_belongs_to_one_topic_with_its_partitions(
    play: Play, topic_id: str, partitions: int, said: str | None
) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1), 0, 1)
        await keeper.close()
        house.context.topic_ids = {house.tp.topic: topic_id}
        house.context.partitions = {house.tp.topic: partitions}
        if said is None:
            assert await house.keeper().open() == 1
        else:
            with pytest.raises(Replaced, match=said):
                await house.keeper().open()

    play(scenario)


def test_a_message_that_no_topic_takes_is_left_out_and_counted(
    play: Play, mock_kafka: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    topics = []

    async def scenario(house: House) -> None:
        core = Adder()
        core.large = 1_000_000  # and the producer's limit is a million with headers
        keeper = await house.opened(core)
        await keeper.handle(rows(0, 7), 0, 1)
        await keeper.checkpoint()
        assert keeper.partition.backlog == 0
        undeliverable = house.context.counters.undeliverable.labels("alerts")
        assert undeliverable._value.get() == 1
        topics.append(house.context.topic("alerts"))

    play(scenario)
    assert published(mock_kafka, topics[0], 1) == [b"7"]
    assert "does not take a message of 1,000,000 bytes" in caplog.text


def test_a_signal_that_its_topic_does_not_take_ends_the_worker(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = Adder("signals")
        core.large = 1_000_000
        keeper = await house.opened(core)
        await keeper.handle(rows(0, 7), 0, 1)
        with pytest.raises(Unfit, match=r"raise its max\.message\.bytes"):
            await keeper.checkpoint()
        assert keeper.partition.backlog == 2

    play(scenario)


def test_a_checkpoint_waits_for_redis(
    own_redis: EmbeddedRedis, mock_kafka: Kafka, namespace: str
) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1), 0, 1)
        own_redis.kill()
        waiting = asyncio.create_task(keeper.checkpoint())
        outages = house.context.counters.outages.labels("ledger")._value
        while not outages.get():  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(0.01)
        assert house.acked == []
        own_redis.start()
        await waiting
        assert house.acked == [(house.tp, 1)]

    asyncio.run(_run(House(own_redis.url, mock_kafka.bootstrap, namespace), scenario))


def test_nothing_is_lost_while_kafka_is_away(redis_url: str, namespace: str) -> None:
    async def scenario(house: House) -> None:
        keeper = await house.opened()
        await keeper.handle(rows(0, 1), 0, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await keeper.checkpoint()
        assert house.acked == [(house.tp, 1)]  # durable; published once Kafka is back
        successor = await house.store_partition().claim()
        assert (successor.next, successor.backlog) == (1, 1)

    asyncio.run(_run(House(redis_url, f"127.0.0.1:{free_port()}", namespace), scenario))
