import asyncio

import pytest
from confluent_kafka.admin import AdminClient

from agents.clusters import Cluster, Lag
from agents.embedded import free_port
from agents.producers import Message, Producer
from tests.servers import Kafka


def test_topics_are_made_once_and_counted(broker: Kafka, namespace: str) -> None:
    async def main() -> None:
        cluster = Cluster([broker.bootstrap])
        names = [f"{namespace}.a", f"{namespace}.b"]
        wanted = 3 if broker.is_real else 4
        for partitions in (3, 7):  # the second time they exist
            found = await cluster.ensure_topics(names, partitions)
            assert found == dict.fromkeys(names, wanted)
        assert await cluster.partition_count(names[0]) == wanted

    asyncio.run(main())


def test_a_recreated_topic_is_another_topic(real_kafka: Kafka, namespace: str) -> None:
    async def main() -> None:
        cluster = Cluster([real_kafka.bootstrap])
        await cluster.ensure_topics([namespace], 1)
        first = await cluster.topic_id(namespace)
        assert first == await cluster.topic_id(namespace) != ""
        admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
        admin.delete_topics([namespace])[namespace].result()
        await asyncio.sleep(0.5)
        with pytest.raises(LookupError, match="no topic"):
            await cluster.topic_id(namespace)
        await cluster.ensure_topics([namespace], 1)
        assert await cluster.topic_id(namespace) not in ("", first)

    asyncio.run(main())


def test_the_mock_has_no_identities(mock_kafka: Kafka, namespace: str) -> None:
    cluster = Cluster([mock_kafka.bootstrap])
    assert asyncio.run(cluster.topic_id(namespace)) == ""


def test_a_missing_topic_is_said_to_be_missing(real_kafka: Kafka, namespace: str) -> None:
    cluster = Cluster([real_kafka.bootstrap])
    with pytest.raises(LookupError, match=f"no topic '{namespace}'"):
        asyncio.run(cluster.partition_count(namespace))


def test_a_topic_that_cannot_be_made_is_an_error(real_kafka: Kafka, namespace: str) -> None:
    cluster = Cluster([real_kafka.bootstrap])
    with pytest.raises(RuntimeError, match=namespace):
        asyncio.run(cluster.ensure_topics([namespace], 1, replication=9))


def test_how_far_behind_a_group_is(broker: Kafka, namespace: str) -> None:
    async def main() -> None:
        cluster, producer = Cluster([broker.bootstrap]), Producer([broker.bootstrap])
        await cluster.ensure_topics([namespace], 4)
        await producer.produce_all([Message(namespace, b"x", partition=1)] * 5)
        await producer.close()
        lags = await cluster.positions(namespace, [namespace])
        assert lags == [Lag(namespace, p, None, 0, 5 if p == 1 else 0) for p in range(4)]
        assert [lag.behind for lag in lags] == [0, 5, 0, 0]

    asyncio.run(main())


def test_records_gone_by_retention_do_not_count_as_behind() -> None:
    assert Lag("t", 0, committed=3, first=7, end=10).behind == 3
    assert Lag("t", 0, committed=12, first=7, end=10).behind == 0


def test_no_broker_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.clusters.ADMIN_S", 1.0)
    cluster = Cluster([f"127.0.0.1:{free_port()}"])
    for asked in (cluster.partition_count("t"), cluster.topic_id("t"), cluster.positions("g", "t")):
        with pytest.raises(ConnectionError):
            asyncio.run(asked)
