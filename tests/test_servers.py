import asyncio
import contextlib
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from agents.clusters import Cluster
from agents.embedded import EmbeddedRedis
from agents.store import Store, connect
from tests import servers
from tests.brokers import ApacheKafka, Unavailable, fetch, kafka_home
from tests.servers import Kafka, Redis

OLD_MS = 1_262_304_000_000  # 2010


def produce(kafka: Kafka, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for value in values:
        producer.produce(topic, value, partition=0, timestamp=OLD_MS)
    assert producer.flush(30) == 0


def consume(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = consumer.consume(count, timeout=30)
    consumer.close()
    return [record.value() for record in found]


def test_a_broker_keeps_records_however_old_they_say_they_are(
    broker: Kafka, namespace: str
) -> None:
    broker.create_topics(namespace, partitions=4)
    produce(broker, namespace, b"one", b"two")
    assert consume(broker.bootstrap, namespace, 2) == [b"one", b"two"]


def test_topics_may_be_made_twice(broker: Kafka, namespace: str) -> None:
    broker.create_topics(namespace)
    broker.create_topics(namespace)


def test_what_is_required_is_there(kafka: Kafka) -> None:
    assert kafka.is_real or not servers.real_kafka_required()


def test_the_choice_says_why_nothing_better(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("DRIFTLINE_TEST_BROKERS", raising=False)
    with servers.choose_kafka(tmp_path) as found:
        assert found.kind == "mock"
        assert not found.is_real
        assert "no docker on PATH; no java on PATH" in found.note


def test_an_address_in_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DRIFTLINE_TEST_BROKERS", "broker:9092")
    with servers.choose_kafka(tmp_path) as found:
        assert (found.bootstrap, found.kind, found.is_real) == ("broker:9092", "given", True)


def test_a_given_redis_with_data_is_refused(
    monkeypatch: pytest.MonkeyPatch, own_redis: EmbeddedRedis
) -> None:
    monkeypatch.setenv("DRIFTLINE_TEST_REDIS", own_redis.url)
    with servers.choose_redis() as found:
        assert found == Redis(own_redis.url, "given", "by DRIFTLINE_TEST_REDIS")
    with contextlib.closing(redis.Redis.from_url(own_redis.url)) as client:
        client.set("somebody's", 1)
    with pytest.raises(RuntimeError, match="not empty"), servers.choose_redis():
        pass


def test_a_redis_in_a_container_is_one_that_the_store_accepts() -> None:
    async def check(url: str) -> None:
        async with connect(url) as client:
            await Store(client).check()

    try:
        with servers.docker_redis() as found:
            assert found.kind == "docker"
            asyncio.run(check(found.url))
    except Unavailable as why:
        pytest.skip(str(why))


def test_a_kafka_in_a_container_keeps_old_records(namespace: str) -> None:
    """As ours does: whatever the tests run on is set up in the same way."""
    try:
        with servers.docker_kafka() as found:
            assert found.is_real
            found.create_topics(namespace, partitions=1)
            produce(found, namespace, b"old")
            assert consume(found.bootstrap, namespace, 1) == [b"old"]
            with pytest.raises(LookupError):
                asyncio.run(Cluster([found.bootstrap]).topic_id(f"{namespace}-none"))
    except Unavailable as why:
        pytest.skip(str(why))


def test_the_redis_of_the_run_is_empty(redis_url: str) -> None:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_the_redis_of_the_run_is_empty_again(redis_url: str) -> None:
    test_the_redis_of_the_run_is_empty(redis_url)


def test_the_redis_beside_python_is_not_the_systems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in ("venv", "system"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "redis-server").touch(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'venv'}:{tmp_path / 'system'}")
    assert servers.redis_binary() == str(tmp_path / "system" / "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path / "venv"))
    assert servers.redis_binary() is None


def test_own_redis_remembers_over_a_crash(own_redis: EmbeddedRedis) -> None:
    with contextlib.closing(redis.Redis.from_url(own_redis.url)) as client:
        client.set("kept", 1)
    own_redis.kill()
    own_redis.start()
    with contextlib.closing(redis.Redis.from_url(own_redis.url)) as client:
        assert client.get("kept") == b"1"


def test_a_broker_remembers_over_a_crash_and_leaves_nothing(
    real_kafka: Kafka, tmp_path: Path, namespace: str
) -> None:
    if real_kafka.kind != "apache":
        pytest.skip("only our own broker may be killed")
    with ApacheKafka(tmp_path / "kafka") as own:
        kafka = Kafka(own.bootstrap, "apache", "")
        kafka.create_topics(namespace)
        produce(kafka, namespace, b"one")
        own.kill()
        own.start()
        assert own.bootstrap == kafka.bootstrap
        assert consume(own.bootstrap, namespace, 1) == [b"one"]
    assert not (tmp_path / "kafka").exists()


def test_kafka_cannot_be_fetched_without_maven(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DRIFTLINE_KAFKA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert kafka_home() == tmp_path
    with pytest.raises(Unavailable, match="no mvn on PATH"):
        fetch()
