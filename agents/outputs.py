"""Outputs: reading what Driftline publishes, as structs, from the beginning."""

import time

import confluent_kafka as ck
import msgspec

from agents.findings import Output
from agents.security import kafka_config
from agents.settings import Settings
from stream.events import Alert, Evaluation, RetrainRequest

# in the order in which one month's events are told
TYPES: dict[str, type[Evaluation | Alert | RetrainRequest]] = {
    "evaluations": Evaluation,
    "alerts": Alert,
    "retrain-requests": RetrainRequest,
}
ADMIN_S = 15.0
TRIES = 25
TRY_S = 0.2
MOST = 1_000  # records of one read


class Outputs:
    """Everything in the three topics, whoever else reads it: no group is joined."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConnectionError where no broker answers."""
        self._types = {settings.topics.name(topic): kind for topic, kind in TYPES.items()}
        self._consumer = ck.Consumer(
            kafka_config(settings.kafka)
            | {
                "group.id": f"{settings.kafka.group_id}-outputs",
                "enable.auto.commit": False,
                "log_level": 3,
            }
        )
        try:
            self._consumer.assign([at for topic in self._types for at in self._beginning(topic)])
        except ck.KafkaException as error:
            raise ConnectionError(f"Kafka does not answer: {error.args[0].str()}") from error

    def read(self, timeout_s: float = 0.0) -> list[Output]:
        """What is there, in order of event time. Raises ConnectionError, ValueError if foreign."""
        found: list[Output] = []
        for message in self._consumer.consume(MOST, timeout_s):
            if error := message.error():
                raise ConnectionError(f"Kafka does not answer: {error.str()}")
            kind = self._types[message.topic() or ""]
            found.append(msgspec.json.decode(message.value() or b"", type=kind))
        order = list(TYPES.values())
        return sorted(found, key=lambda event: (event.time, order.index(type(event))))

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _beginning(self, topic: str) -> list[ck.TopicPartition]:
        """The start of every partition; a topic that was just made has none for a moment."""
        for _ in range(TRIES):
            found = self._consumer.list_topics(topic, timeout=ADMIN_S).topics[topic]
            if found.error is None and found.partitions:
                return [ck.TopicPartition(topic, number, 0) for number in found.partitions]
            time.sleep(TRY_S)
        raise ConnectionError(f"no topic {topic!r} in Kafka: {found.error}")
