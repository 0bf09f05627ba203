"""What the shell asks Kafka about topics and groups, off the event loop.

Works against librdkafka's mock cluster too, as far as that goes: it has no admin calls, creates any
topic it is asked about, always with 4 partitions, and has no topic identities.
"""

import asyncio
import dataclasses
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic

from agents.security import Kafka, Troubles, kafka_config

log = logging.getLogger(__name__)

ADMIN_S = 15.0
LOOK_S = 1.0  # how soon it is seen that credentials are refused
TRIES = 25
TRY_S = 0.2
NOT_THERE_YET = frozenset({ck.KafkaError.UNKNOWN_TOPIC_OR_PART, ck.KafkaError.LEADER_NOT_AVAILABLE})
NO_COORDINATOR_YET = frozenset(
    {
        ck.KafkaError.NOT_COORDINATOR,
        ck.KafkaError.COORDINATOR_NOT_AVAILABLE,
        ck.KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
MOCK = "mockCluster"  # how the id of a mock cluster begins


@dataclasses.dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is in one partition. end: the next offset to be written."""

    topic: str
    partition: int
    committed: int | None
    first: int
    end: int

    @property
    def behind(self) -> int:
        """Records that are there and not yet done."""
        done = self.first if self.committed is None else self.committed
        return max(0, self.end - max(done, self.first))


class Cluster:
    """A Kafka cluster, to be asked. Every call raises ConnectionError where no broker answers.

    kafka: the settings; addresses alone are those of a Kafka without security.
    """

    def __init__(self, kafka: Kafka | Sequence[str], client_id: str = "driftline") -> None:
        self._troubles = Troubles()
        self._config: dict[str, Any] = kafka_config(kafka) | {
            "client.id": client_id,
            "error_cb": self._troubles.hear,
            "logger": log,
        }
        self._client: AdminClient | None = None

    async def partition_count(self, topic: str) -> int:
        """How many partitions a topic has; waits a little for one just created.

        Raises LookupError where there is no such topic.
        """
        for _ in range(TRIES):
            found = await asyncio.to_thread(self._metadata, topic)
            at = found.topics[topic]
            if at.error is None and at.partitions:
                return len(at.partitions)
            await asyncio.sleep(TRY_S)
        raise LookupError(f"no topic {topic!r} in Kafka: {at.error}")

    def _metadata(self, topic: str | None = None) -> Any:
        admin, end = self._admin(), time.monotonic() + ADMIN_S
        while True:
            try:
                return admin.list_topics(topic, timeout=min(LOOK_S, ADMIN_S))
            except ck.KafkaException as error:
                admin.poll(0)  # lets it say what the trouble is
                if self._troubles.refused or time.monotonic() > end:
                    raise self._failed(error) from error

    def _failed(self, error: ck.KafkaException) -> ConnectionError:
        return ConnectionError(self._troubles.words(error))

    def _admin(self) -> AdminClient:
        if self._client is None:
            self._client = AdminClient(dict(self._config))
        return self._client

    async def answers(self, topic: str, timeout_s: float = 2.0) -> str:
        """What is wrong with Kafka at this moment; nothing where a broker answers."""
        try:
            await asyncio.to_thread(self._admin().list_topics, topic, timeout_s)
        except ck.KafkaException as error:
            return str(self._failed(error))
        return ""

    async def topic_id(self, topic: str) -> str:
        """The identity of a topic, another one after it was recreated; "" on the mock cluster.

        Raises LookupError where there is no such topic.
        """
        return await asyncio.to_thread(self._topic_id, topic)

    def _topic_id(self, topic: str) -> str:
        if self._is_mock():
            return ""
        asked = self._admin().describe_topics(ck.TopicCollection([topic]), request_timeout=ADMIN_S)
        try:
            return str(asked[topic].result().topic_id)
        except ck.KafkaException as error:
            if error.args[0].code() in NOT_THERE_YET:
                raise LookupError(f"no topic {topic!r} in Kafka") from error
            raise self._failed(error) from error

    async def is_mock(self) -> bool:
        """Whether it is librdkafka's mock cluster, which drops what is unread at 5 MiB."""
        return await asyncio.to_thread(self._is_mock)

    def _is_mock(self) -> bool:
        return str(self._metadata().cluster_id).startswith(MOCK)

    async def ensure_topics(
        self,
        names: Iterable[str],
        partitions: int,
        replication: int = 1,
        config: Mapping[str, str] | None = None,
    ) -> dict[str, int]:
        """Create the topics that are missing; answers the partitions of each.

        Those that exist stay as they are. The mock cluster creates any topic it is asked about,
        always with 4 partitions. Raises RuntimeError where a topic cannot be created.
        """
        wanted = list(names)
        await asyncio.to_thread(self._create, wanted, partitions, replication, dict(config or {}))
        return {name: await self.partition_count(name) for name in wanted}

    def _create(
        self, names: list[str], partitions: int, replication: int, config: dict[str, str]
    ) -> None:
        there = self._metadata()
        missing = [name for name in names if name not in there.topics]
        if not missing or str(there.cluster_id).startswith(MOCK):
            return
        news = [NewTopic(name, partitions, replication, config=config) for name in missing]
        for name, created in self._admin().create_topics(news, request_timeout=ADMIN_S).items():
            try:
                created.result()
            except ck.KafkaException as error:
                if error.args[0].code() != ck.KafkaError.TOPIC_ALREADY_EXISTS:
                    raise RuntimeError(f"topic {name!r}: {error.args[0].str()}") from error

    async def positions(self, group: str, topics: Iterable[str]) -> list[Lag]:
        """How far a consumer group is in each partition of these topics."""
        return await asyncio.to_thread(self._positions, group, list(topics))

    def _positions(self, group: str, topics: list[str]) -> list[Lag]:
        consumer = ck.Consumer({**self._config, "group.id": group})  # never joins the group
        try:
            known = [(topic, consumer.list_topics(topic, timeout=ADMIN_S)) for topic in topics]
            asked = [
                ck.TopicPartition(topic, number)
                for topic, found in known
                for number in sorted(found.topics[topic].partitions)
            ]
            return [_lag(consumer, at) for at in _committed(consumer, asked)]
        except ck.KafkaException as error:
            raise self._failed(error) from error
        finally:
            consumer.close()


def _committed(consumer: ck.Consumer, asked: list[ck.TopicPartition]) -> list[ck.TopicPartition]:
    """Committed offsets; a coordinator that has only just been chosen is asked again."""
    for left in range(TRIES, -1, -1):
        try:
            return consumer.committed(asked, timeout=ADMIN_S)
        except ck.KafkaException as error:
            if error.args[0].code() not in NO_COORDINATOR_YET or not left:
                raise
            time.sleep(TRY_S)
    raise AssertionError("the last try returns or raises")


def _lag(consumer: ck.Consumer, at: ck.TopicPartition) -> Lag:
    first, end = consumer.get_watermark_offsets(at, timeout=ADMIN_S)
    return Lag(at.topic, at.partition, at.offset if at.offset >= 0 else None, first, end)
