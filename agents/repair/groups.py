"""The consumer group, as an administrator sees it: who is in it, and where it is to go on."""

import asyncio
from collections.abc import Mapping

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from agents.chunks import TP
from agents.clusters import ADMIN_S
from agents.security import kafka_config
from agents.settings import Kafka


class Group:
    """A group of workers. Every call raises ConnectionError where Kafka refuses or is away."""

    def __init__(self, kafka: Kafka) -> None:
        self.name = kafka.group_id
        self._client = AdminClient(kafka_config(kafka) | {"client.id": "driftline"})

    async def members(self) -> list[str]:
        """The workers that are in it now, as Kafka calls them; none where there is no group."""
        return await asyncio.to_thread(self._members)

    def _members(self) -> list[str]:
        asked = self._client.describe_consumer_groups([self.name], request_timeout=ADMIN_S)
        try:
            found = asked[self.name].result()
        except ck.KafkaException as error:
            if error.args[0].code() == ck.KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise ConnectionError(f"Kafka refuses: {error.args[0].str()}") from error
        return sorted(f"{member.client_id} at {member.host}" for member in found.members)

    async def commit(self, offsets: Mapping[TP, int]) -> None:
        """Let it go on elsewhere. Kafka refuses while somebody is in it."""
        if offsets:
            await asyncio.to_thread(self._commit, offsets)

    def _commit(self, offsets: Mapping[TP, int]) -> None:
        told = [ck.TopicPartition(tp.topic, tp.partition, at) for tp, at in offsets.items()]
        wanted = [ck.ConsumerGroupTopicPartitions(self.name, told)]
        asked = self._client.alter_consumer_group_offsets(wanted, request_timeout=ADMIN_S)
        try:
            found = asked[self.name].result()
        except ck.KafkaException as error:
            raise ConnectionError(f"Kafka refuses: {error.args[0].str()}") from error
        for at in found.topic_partitions:
            if at.error is not None:
                raise ConnectionError(f"Kafka refuses {at.topic}/{at.partition}: {at.error.str()}")
