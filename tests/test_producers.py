import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner  # type: ignore[import-untyped]
from confluent_kafka import Consumer, KafkaError, TopicPartition

from agents.embedded import free_port
from agents.producers import DeliveryFailed, Message, Producer
from tests.servers import Kafka

Read = tuple[bytes | None, bytes | None, Any]


def read(bootstrap: str, topic: str, partitions: int = 4) -> list[list[Read]]:
    """All records of a topic: key, value, headers, by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "log_level": 3})
    found: list[list[Read]] = []
    try:
        for number in range(partitions):
            at = TopicPartition(topic, number, 0)
            _, end = consumer.get_watermark_offsets(at, timeout=10)
            consumer.assign([at])
            records: list[Read] = []
            while len(records) < end:
                for record in consumer.consume(end - len(records), timeout=1):
                    assert record.error() is None
                    records.append((record.key(), record.value(), record.headers() or []))
            found.append(records)
    finally:
        consumer.close()
    return found


def values(bootstrap: str, topic: str) -> list[list[bytes | None]]:
    return [[value for _, value, _ in records] for records in read(bootstrap, topic)]


@contextlib.asynccontextmanager
async def producer(kafka: Kafka, **options: Any) -> AsyncIterator[Producer]:
    made = Producer([kafka.bootstrap], **options)
    try:
        yield made
    finally:
        await made.close()


def numbered(topic: str, count: int, partitions: int = 4) -> list[Message]:
    return [Message(topic, b"%d" % n, partition=n % partitions) for n in range(count)]


async def produce(kafka: Kafka, messages: Sequence[Message], **options: Any) -> None:
    async with producer(kafka, **options) as it:
        await it.produce_all(messages)


def test_each_partition_is_in_order_and_complete(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)
    asyncio.run(produce(broker, numbered(namespace, 20_000)))
    found = values(broker.bootstrap, namespace)
    assert found == [[b"%d" % n for n in range(p, 20_000, 4)] for p in range(4)]


def test_key_value_and_headers_arrive_byte_for_byte(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)
    headers = [("reason", b"\xff\x00"), ("reason", b"")]
    messages = [
        Message(namespace, None, b"k", 0, headers),
        Message(namespace, b"", None, 0),
        Message(namespace, b"\x00\xff", b"", 0),
    ]
    asyncio.run(produce(broker, messages))
    assert read(broker.bootstrap, namespace)[0] == [
        (b"k", None, headers),
        (None, b"", []),
        (b"", b"\x00\xff", []),
    ]


def test_a_key_goes_where_the_java_client_sends_it(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)
    keys = [b"model-%d" % n for n in range(200)]
    asyncio.run(produce(broker, [Message(namespace, key, key) for key in keys]))
    choose, every = DefaultPartitioner(), [0, 1, 2, 3]
    expected = [[k for k in keys if choose(k, every, every) == p] for p in every]
    assert values(broker.bootstrap, namespace) == expected


def test_nothing_after_a_message_too_large_is_sent(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)

    async def main() -> None:
        messages = numbered(namespace, 10)
        messages[6] = Message(namespace, bytes(3_000), partition=2)
        async with producer(broker, max_message_bytes=2_000) as it:
            with pytest.raises(DeliveryFailed, match="MSG_SIZE_TOO_LARGE") as failure:
                await it.produce_all(messages)
            assert failure.value.sent == 6
            assert failure.value.hopeless
            await it.produce_all(messages[7:])  # and it goes on working

    asyncio.run(main())
    found = values(broker.bootstrap, namespace)
    assert found == [[b"0", b"4", b"8"], [b"1", b"5", b"9"], [b"2"], [b"3", b"7"]]


def test_a_broker_that_refuses_one_stops_what_follows(real_kafka: Kafka, namespace: str) -> None:
    real_kafka.create_topics(namespace, config={"max.message.bytes": "2000"})

    async def main() -> None:
        async with producer(real_kafka, linger_ms=0) as it:
            await it.produce_all([Message(namespace, b"before", partition=0)])
            refused = [Message(namespace, bytes(5_000), partition=0)]
            with pytest.raises(DeliveryFailed) as failure:
                await it.produce_all(refused + [Message(namespace, b"x", partition=0)] * 3_000)
            assert failure.value.sent == 0
            assert failure.value.hopeless
            await it.produce_all([Message(namespace, b"after", partition=0)])

    asyncio.run(main())
    assert values(real_kafka.bootstrap, namespace)[0] == [b"before", b"after"]


def test_a_full_buffer_waits(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)
    asyncio.run(produce(broker, numbered(namespace, 3_000), queue_buffering_max_messages=50))
    assert [len(found) for found in values(broker.bootstrap, namespace)] == [750] * 4


def test_calls_side_by_side_do_not_mix_up_their_reports(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)

    async def main() -> None:
        async with producer(broker) as it:
            await asyncio.gather(*(it.produce_all(numbered(namespace, n)) for n in range(40)))
            with pytest.raises(DeliveryFailed):
                await it.produce_all([Message(namespace, bytes(2**21))])
            await it.produce_all([])

    asyncio.run(main())
    assert sum(map(len, values(broker.bootstrap, namespace))) == sum(range(40))


def test_without_a_broker_it_fails_in_time_and_may_be_tried_again() -> None:
    async def main() -> None:
        it = Producer([f"127.0.0.1:{free_port()}"], delivery_s=1.0)
        with pytest.raises(DeliveryFailed) as failure:
            await it.produce_all([Message("t", b"x")] * 3)
        assert failure.value.error.code() == KafkaError._MSG_TIMED_OUT
        assert (failure.value.sent, failure.value.hopeless) == (0, False)
        await it.close(0.1)

    asyncio.run(asyncio.wait_for(main(), 20))


async def forward(port: int, bootstrap: str) -> asyncio.Server:
    """A door to the broker on another port."""
    host, _, number = bootstrap.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(number))
        await asyncio.gather(pump(reader, back), pump(there, writer))

    return await asyncio.start_server(serve, "127.0.0.1", port)


def test_deliver_outlasts_an_outage(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)

    async def main() -> None:
        port = free_port()
        it = Producer([f"127.0.0.1:{port}"], delivery_s=1.0)
        sent = asyncio.ensure_future(it.deliver(numbered(namespace, 100)))
        await asyncio.sleep(2.5)
        assert not sent.done()
        door = await forward(port, broker.bootstrap)
        await asyncio.wait_for(sent, 30)
        await it.close()
        door.close()

    asyncio.run(main())
    found = values(broker.bootstrap, namespace)
    assert found == [[b"%d" % n for n in range(p, 100, 4)] for p in range(4)]


def test_deliver_gives_up_what_is_hopeless(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)

    async def main() -> None:
        async with producer(broker) as it:
            with pytest.raises(DeliveryFailed, match="MSG_SIZE_TOO_LARGE"):
                await it.deliver([Message(namespace, bytes(2**21))])

    asyncio.run(main())


def test_a_failing_call_takes_the_ones_beside_it_along_but_loses_nothing(
    real_kafka: Kafka, namespace: str
) -> None:
    """Given up and tried again: all arrive, though some perhaps twice."""
    small, large = f"{namespace}.small", f"{namespace}.large"
    real_kafka.create_topics(small, config={"max.message.bytes": "2000"})
    real_kafka.create_topics(large)

    async def main() -> None:
        async with producer(real_kafka) as it:
            beside = asyncio.ensure_future(it.deliver(numbered(large, 20_000)))
            for _ in range(3):
                with pytest.raises(DeliveryFailed):
                    await it.produce_all([Message(small, bytes(9_000), partition=0)])
            await beside

    asyncio.run(main())
    for partition, found in enumerate(values(real_kafka.bootstrap, large)):
        assert set(found) == {b"%d" % n for n in range(partition, 20_000, 4)}
