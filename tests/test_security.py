"""Security: what is refused at start, and every way in and out of servers that ask who we are."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiokafka  # type: ignore[import-untyped]
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from agents import security
from agents.clusters import Cluster
from agents.producers import Message, Producer
from agents.settings import Kafka, Settings
from agents.store import Store, Unusable, connect
from tests import servers
from tests.brokers import Unavailable
from tests.certificates import Authority, Pair
from tests.leaks import new_secret
from tests.secured import USER, SecuredKafka, SecuredRedis

READ_S = 20.0


@dataclasses.dataclass(frozen=True)
class Papers:
    """Certificates of one authority, and what is wrong: another authority, a lost key."""

    authority: Authority
    stranger: Authority
    client: Pair
    locked: Pair
    key_password: str


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("certificates")
    authority, password = Authority(folder / "ours"), new_secret()
    client, locked = authority.client("client"), authority.client("locked", password)
    return Papers(authority, Authority(folder / "theirs"), client, locked, password)


@pytest.fixture(scope="module")
def secured_kafka(
    papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredKafka]:
    try:
        kafka = SecuredKafka(tmp_path_factory.mktemp("secured") / "kafka", papers.authority)
    except Unavailable as why:
        _cannot(why)
    with kafka:
        yield kafka


@pytest.fixture(scope="module")
def secured_redis(
    papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredRedis]:
    try:
        with SecuredRedis(tmp_path_factory.mktemp("redis"), papers.authority) as redis:
            yield redis
    except Unavailable as why:
        _cannot(why)


def _cannot(why: Unavailable) -> None:
    if servers.real_kafka_required():
        pytest.fail(str(why))
    pytest.skip(str(why))


@pytest.fixture
def way(request: pytest.FixtureRequest, secured_kafka: SecuredKafka, papers: Papers) -> Kafka:
    """Settings for one of WAYS."""
    listener, keys = WAYS[request.param]
    known = {
        "password": secured_kafka.password,
        "certificate": papers.client.certificate,
        "key": papers.client.key,
        "locked": papers.locked.certificate,
        "locked key": papers.locked.key,
        "key password": papers.key_password,
    }
    given = {key: known.get(value, value) for key, value in keys.items()}
    given |= {"tls": True, "ca_file": papers.authority.certificate}
    address = secured_kafka.addresses[listener]
    return Kafka.model_validate({"brokers": [address], "security": given})


SASL = {"username": USER, "password": "password"}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "PLAIN": ("SASL_SSL", SASL | {"mechanism": "PLAIN"}),
    "SCRAM-SHA-256": ("SASL_SSL", SASL | {"mechanism": "SCRAM-SHA-256"}),
    "SCRAM-SHA-512": ("SASL_SSL", SASL | {"mechanism": "SCRAM-SHA-512"}),
    "the default mechanism": ("SASL_SSL", SASL),
    "mutual TLS": ("SSL", {"certificate_file": "certificate", "key_file": "key"}),
    "a locked key": (
        "SSL",
        {
            "certificate_file": "locked",
            "key_file": "locked key",
            "key_password": "key password",
        },
    ),
}


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_all_clients_get_in_by_the_same_settings(way: Kafka, namespace: str) -> None:
    async def there_and_back() -> bytes | None:
        assert await Cluster(way).ensure_topics([namespace], 1) == {namespace: 1}
        producer = Producer(way)
        await producer.produce_all([Message(namespace, b"hello")])
        await producer.close()
        told = credentials_to_aiokafka_auth(security.faust_credentials(way))
        consumer = aiokafka.AIOKafkaConsumer(
            namespace, bootstrap_servers=way.brokers[0], auto_offset_reset="earliest", **told
        )
        await consumer.start()
        try:
            found = await asyncio.wait_for(consumer.getone(), READ_S)
        finally:
            await consumer.stop()
        value: bytes | None = found.value
        return value

    assert asyncio.run(there_and_back()) == b"hello"


def test_redis_lets_its_user_in(secured_redis: SecuredRedis, papers: Papers) -> None:
    async def check(settings: Settings) -> None:
        async with connect(**security.redis_config(settings.redis)) as client:
            await Store(client, "t").check()

    asyncio.run(check(_settings(papers, secured_redis)))


def test_redis_may_ask_for_a_certificate(papers: Papers, tmp_path: Path) -> None:
    async def check(settings: Settings) -> None:
        async with connect(**security.redis_config(settings.redis)) as client:
            await Store(client, "t").check()

    try:
        redis = SecuredRedis(tmp_path, papers.authority, mutual=True)
    except Unavailable as why:
        _cannot(why)
    with redis:
        with pytest.raises(Unusable, match="cannot be reached"):
            asyncio.run(check(_settings(papers, redis)))
        pair = {"certificate_file": papers.client.certificate, "key_file": papers.client.key}
        asyncio.run(check(_settings(papers, redis, **pair)))


def _settings(papers: Papers, redis: SecuredRedis, **more: Any) -> Settings:
    own = {"username": USER, "password": redis.password, "ca_file": papers.authority.certificate}
    return Settings.model_validate({"redis": {"url": redis.url, "security": own | more}})
