"""Gates: what is unread stays under a limit, and what goes unread is counted."""

import asyncio
import contextlib

import pytest

from agents import gates, topics
from agents.clusters import Cluster
from agents.gates import Gate, Stalled
from agents.producers import Message, Producer
from agents.settings import Kafka as KafkaTable
from agents.settings import Settings, Topics, Worker
from tests.readers import read_all
from tests.servers import Kafka


def settings(kafka: Kafka, name: str) -> Settings:
    return Settings(
        kafka=KafkaTable(brokers=(kafka.bootstrap,), group_id=name, commit_s=0.1),
        topics=Topics(prefix=name),
        worker=Worker(checkpoint_s=0.1),
    )


async def send(s: Settings, count: int, value: bytes = b"{}", **more: int) -> None:
    producer = Producer(s.kafka)
    try:
        name = s.topics.name("predictions")
        await producer.produce_all([Message(name, value, **more)] * count)  # type: ignore[arg-type]
    finally:
        await producer.close()


def read(s: Settings) -> None:
    names = [s.topics.name(topic) for topic in gates.SOURCES + gates.INNER]
    read_all(s.kafka.brokers[0], s.kafka.group_id, names)


def test_a_sender_waits_while_too_much_lies_unread(broker: Kafka, namespace: str) -> None:
    s = settings(broker, namespace)

    async def main() -> None:
        await topics.ensure(s, Cluster(s.kafka))
        gate = Gate(s, 100, print)
        await gate.open()
        await gate.wait(100, 200)
        await send(s, 100)
        assert gate.behind == 100
        waiting = asyncio.create_task(gate.wait(50, 100))
        await asyncio.sleep(1)
        assert not waiting.done()
        await asyncio.to_thread(read, s)
        await asyncio.wait_for(waiting, 10)
        assert gate.lost == 0
        await asyncio.wait_for(gate.judged(), 10)

    asyncio.run(main())


def test_no_limit_is_no_wait(real_kafka: Kafka, namespace: str) -> None:
    s = settings(real_kafka, namespace)

    async def main() -> None:
        await topics.ensure(s, Cluster(s.kafka))
        gate = Gate(s, 0, print)
        await gate.open()
        for _ in range(9):
            await gate.wait(10**6, 10**9)

    asyncio.run(main())


def test_the_embedded_broker_has_a_limit_in_bytes_too(mock_kafka: Kafka, namespace: str) -> None:
    s = settings(mock_kafka, namespace)

    async def main() -> None:
        gate = Gate(s, 0, print, stalled_s=0.5)
        await gate.open()
        size = gates.MOCK_BYTES // 4
        for _ in range(4):
            await gate.wait(100, size)
        await send(s, 100)
        with pytest.raises(Stalled):
            await gate.wait(400, 4 * size)

    asyncio.run(main())


def test_a_worker_that_reads_nothing_is_said_to_be_missing(
    mock_kafka: Kafka, namespace: str
) -> None:
    s = settings(mock_kafka, namespace)
    said: list[str] = []

    async def main() -> None:
        await send(s, 3, partition=2)
        gate = Gate(s, 0, said.append, stalled_s=0.5)
        await gate.open()
        await gate.taken_in()

    with pytest.raises(Stalled, match=r"3 in \S+predictions\[2\].*driftline worker") as error:
        asyncio.run(main())
    assert namespace in str(error.value)


def test_records_that_the_broker_drops_unread_are_lost(mock_kafka: Kafka, namespace: str) -> None:
    s = settings(mock_kafka, namespace)

    async def main() -> None:
        gate = Gate(s, 0, print, stalled_s=0.3)
        await gate.open()
        await send(s, 100, b"x" * 100_000, partition=0)
        with contextlib.suppress(Stalled):
            await gate.taken_in()
        assert 20 <= gate.lost < 100
        lost = gate.lost
        await asyncio.to_thread(read, s)
        await gate.taken_in()
        assert gate.lost == lost, "counted once"

    asyncio.run(main())


def test_how_many_were_ever_written(mock_kafka: Kafka, namespace: str) -> None:
    s = settings(mock_kafka, namespace)

    async def main() -> None:
        await send(s, 7)
        assert await Gate(s, 0, print).count("predictions") == 7
        assert await Gate(s, 0, print).count("dead-letters") == 0

    asyncio.run(main())
