"""Topics: what is made, what is found wrong with those that are there, and what repairs it."""

import asyncio
import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient

from agents import topics
from agents.catalogs import Catalog
from agents.clusters import Cluster
from agents.settings import TOPICS, Bounds, Settings
from agents.settings import Kafka as KafkaTable
from agents.settings import Topics as TopicsTable
from agents.store import Unusable
from agents.topics import FOREVER, KAFKA_BYTES, NEEDS, config_of, differences
from tests.servers import Kafka


def settings(kafka: Kafka | None, name: str, **more: bool | int) -> Settings:
    brokers = (kafka.bootstrap,) if kafka else ("127.0.0.1:1",)
    return Settings(
        kafka=KafkaTable(brokers=brokers),
        topics=TopicsTable(prefix=name, **more),  # type: ignore[arg-type]
    )


def standing(s: Settings) -> dict[str, str]:
    found = asyncio.run(topics.check(s, Catalog(s.kafka)))
    return {one.topic.partition(".")[2]: one.standing for one in found}


def until(true: Callable[[], bool]) -> None:
    """A change takes its time to be seen."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_table_is_of_all_topics() -> None:
    assert tuple(NEEDS) == TOPICS


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("most", [1_000, 1_000_000, 9_000_000])
def test_what_is_made_is_as_it_must_be(topic: str, most: int) -> None:
    s = Settings(limits=Bounds(max_bytes=most))
    assert list(differences(s, topic, config_of(s, topic))) == []


def test_a_topic_of_ours_takes_more_than_came_in() -> None:
    s = Settings()
    assert int(config_of(s, "events")["max.message.bytes"]) == topics.max_message_bytes(s)
    assert topics.max_message_bytes(s) > s.limits.max_bytes
    assert "max.message.bytes" not in config_of(s, "predictions"), "Kafka's own is enough"


WRONG = {
    "compacted": ("predictions", {"cleanup.policy": "compact,delete"}, "cleanup.policy", "delete"),
    "short": ("events", {"retention.ms": "3600000"}, "retention.ms", str(topics.WEEK_MS)),
    "not for ever": ("control", {"retention.ms": "604800000"}, "retention.ms", str(FOREVER)),
    "small": ("signals", {"max.message.bytes": str(KAFKA_BYTES)}, "max.message.bytes", "2048576"),
    "too small": ("control", {"max.message.bytes": "999"}, "max.message.bytes", "1000000"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_with_what_it_must_be(case: str) -> None:
    topic, config, key, wanted = WRONG[case]
    s = Settings()
    (found,) = differences(s, topic, config_of(s, topic) | config)
    assert (found.key, found.value, found.wanted) == (key, config[key], wanted)


def test_made_topics_stand_well_and_are_made_once(real_kafka: Kafka, namespace: str) -> None:
    s = settings(real_kafka, namespace, partitions=3, create=False)
    assert set(standing(s).values()) == {"missing"}
    cluster, catalog = Cluster(s.kafka), Catalog(s.kafka)
    assert all(asyncio.run(topics.create(s, cluster, catalog)).values())
    assert not any(asyncio.run(topics.create(s, cluster, catalog)).values())
    assert set(standing(s).values()) == {"ok"}
    counts = asyncio.run(topics.ensure(s, cluster))
    assert counts == {s.topics.name(topic): 3 for topic in TOPICS}


def test_what_differs_is_repaired(real_kafka: Kafka, namespace: str) -> None:
    s = settings(real_kafka, namespace)
    catalog = Catalog(s.kafka)
    asyncio.run(topics.create(s, Cluster(s.kafka), catalog))
    name = s.topics.name("control")
    asyncio.run(catalog.alter(name, {"retention.ms": "1000", "cleanup.policy": "compact"}))
    until(lambda: standing(s)["control"] == "differs")
    (found,) = (f for f in asyncio.run(topics.check(s, catalog)) if f.standing != "ok")
    assert (found.topic, found.standing) == (name, "differs")
    assert "must be kept for ever" in found.said
    assert (
        f"--entity-name {name} --add-config cleanup.policy=delete,retention.ms=-1" in found.repair
    )
    done = asyncio.run(topics.repair(s, catalog))
    assert [one.key for one in done[name]] == ["cleanup.policy", "retention.ms"]
    until(lambda: set(standing(s).values()) == {"ok"})
    assert asyncio.run(topics.repair(s, catalog)) == {}


def test_too_few_copies_and_other_partitions_are_said(real_kafka: Kafka, namespace: str) -> None:
    made = settings(real_kafka, namespace, partitions=2)
    asyncio.run(topics.create(made, Cluster(made.kafka), Catalog(made.kafka)))
    s = settings(real_kafka, namespace, replication_factor=3)
    assert set(standing(s).values()) == {"differs"}
    s = settings(real_kafka, namespace, partitions=8)
    found = {f.topic: f for f in asyncio.run(topics.check(s, Catalog(s.kafka)))}
    assert {f.standing for f in found.values()} == {"ok"}
    assert "must keep them" in found[s.topics.name("events")].said
    assert "must keep them" not in found[s.topics.name("alerts")].said


def test_the_embedded_kafka_has_nothing_to_repair(mock_kafka: Kafka, namespace: str) -> None:
    s = settings(mock_kafka, namespace)
    assert set(standing(s).values()) == {"ok"}
    asyncio.run(topics.create(s, Cluster(s.kafka), Catalog(s.kafka)))
    assert set(standing(s).values()) == {"ok"}


def test_a_missing_topic_that_may_not_be_made(real_kafka: Kafka, namespace: str) -> None:
    s = settings(real_kafka, namespace, create=False)
    with pytest.raises(Unusable, match="driftline topics create"):
        asyncio.run(topics.ensure(s, Cluster(s.kafka)))


def test_topics_may_be_made_by_a_colleague_meanwhile(real_kafka: Kafka, namespace: str) -> None:
    s = settings(real_kafka, namespace, partitions=2)

    async def main() -> None:
        both = (topics.ensure(s, Cluster(s.kafka)) for _ in range(2))
        assert all(set(found.values()) == {2} for found in await asyncio.gather(*both))

    asyncio.run(main())
    there = AdminClient({"bootstrap.servers": real_kafka.bootstrap}).list_topics(timeout=10).topics
    assert {s.topics.name(topic) for topic in TOPICS} <= set(there)
