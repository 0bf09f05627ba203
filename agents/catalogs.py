"""Catalogs: how the topics of a cluster are made, asked and changed off the event loop."""

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
)

from agents.clusters import ADMIN_S, MOCK
from agents.security import kafka_config
from agents.settings import Kafka

Config = dict[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """How many partitions a topic has, and how many copies of each there are at least."""

    partitions: int
    copies: int


class Catalog:
    """The topics of a cluster. Every call raises ConnectionError where no broker answers."""

    def __init__(self, kafka: Kafka) -> None:
        self._client = AdminClient(kafka_config(kafka) | {"client.id": "driftline"})

    async def layouts(self) -> dict[str, Layout]:
        """All topics that there are."""
        return await asyncio.to_thread(self._layouts)

    def _layouts(self) -> dict[str, Layout]:
        try:
            found = self._client.list_topics(timeout=ADMIN_S)
        except ck.KafkaException as error:
            raise ConnectionError(f"Kafka does not answer: {error.args[0].str()}") from error
        self._mock = str(found.cluster_id).startswith(MOCK)
        return {
            name: Layout(
                len(topic.partitions),
                min((len(p.replicas) for p in topic.partitions.values()), default=0),
            )
            for name, topic in found.topics.items()
        }

    async def configs(self, names: Iterable[str]) -> dict[str, Config] | None:
        """Settings of topics, by Kafka's names; None where the cluster has no admin calls."""
        return await asyncio.to_thread(self._configs, list(names))

    def _configs(self, names: list[str]) -> dict[str, Config] | None:
        self._layouts()
        if self._mock or not names:
            return None if self._mock else {}
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._client.describe_configs(asked, request_timeout=ADMIN_S)
        found: dict[str, Config] = {}
        for resource, answer in answers.items():
            entries = _result(answer)
            found[resource.name] = {key: str(entry.value) for key, entry in entries.items()}
        return found

    async def alter(self, topic: str, config: Mapping[str, str]) -> None:
        """Change settings of one topic."""
        await asyncio.to_thread(self._alter, topic, config)

    def _alter(self, topic: str, config: Mapping[str, str]) -> None:
        entries = [
            ConfigEntry(
                key,
                value,
                source=ConfigSource.DYNAMIC_TOPIC_CONFIG,
                incremental_operation=AlterConfigOpType.SET,
            )
            for key, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        for answer in self._client.incremental_alter_configs([resource]).values():
            _result(answer)


def _result(answer: "concurrent.futures.Future[Any]") -> Any:
    try:
        return answer.result(ADMIN_S)
    except ck.KafkaException as error:
        raise ConnectionError(f"Kafka refuses: {error.args[0].str()}") from error
