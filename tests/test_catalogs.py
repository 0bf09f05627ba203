"""Catalogs: what a cluster says of its topics."""

import asyncio
import time

import pytest

from agents.catalogs import Catalog, Layout
from agents.settings import Kafka as KafkaTable
from tests.servers import Kafka


def catalog(kafka: Kafka) -> Catalog:
    return Catalog(KafkaTable(brokers=(kafka.bootstrap,)))


def test_layouts_and_settings_of_a_topic(real_kafka: Kafka, namespace: str) -> None:
    real_kafka.create_topics(namespace, partitions=3, config={"retention.ms": "77000"})
    it = catalog(real_kafka)
    assert asyncio.run(it.layouts())[namespace] == Layout(3, 1)
    configs = asyncio.run(it.configs([namespace]))
    assert configs is not None
    assert configs[namespace]["retention.ms"] == "77000"
    assert configs[namespace]["cleanup.policy"] == "delete"
    assert asyncio.run(it.configs([])) == {}


def test_a_setting_can_be_changed_and_the_others_stay(real_kafka: Kafka, namespace: str) -> None:
    real_kafka.create_topics(namespace, config={"retention.ms": "77000"})
    it = catalog(real_kafka)
    asyncio.run(it.alter(namespace, {"max.message.bytes": "2000000"}))
    changed = {"max.message.bytes": "2000000", "retention.ms": "77000"}
    for _ in range(50):  # a change takes its time to be seen
        config = (asyncio.run(it.configs([namespace])) or {})[namespace]
        if config["max.message.bytes"] == "2000000":
            break
        time.sleep(0.1)
    assert config | changed == config


def test_the_mock_tells_no_settings(mock_kafka: Kafka, namespace: str) -> None:
    mock_kafka.create_topics(namespace)
    it = catalog(mock_kafka)
    assert asyncio.run(it.layouts())[namespace].partitions == 4
    assert asyncio.run(it.configs([namespace])) is None


def test_what_kafka_refuses_is_said(real_kafka: Kafka, namespace: str) -> None:
    real_kafka.create_topics(namespace)
    with pytest.raises(ConnectionError, match="refuses"):
        asyncio.run(catalog(real_kafka).alter(namespace, {"retention.ms": "soon"}))


def test_no_broker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.catalogs.ADMIN_S", 1.0)
    nowhere = Catalog(KafkaTable(brokers=("127.0.0.1:1",)))
    with pytest.raises(ConnectionError, match="does not answer"):
        asyncio.run(nowhere.layouts())
