"""Outputs: everything published is read from the beginning, in order of event time."""

import dataclasses
import uuid

import pytest
from confluent_kafka import Producer

from agents.outputs import TYPES, Outputs
from agents.settings import Kafka as KafkaTable
from agents.settings import Settings, Topics
from stream.events import Alert, Evaluation, RetrainRequest, encode
from tests.servers import Kafka
from tests.test_findings import alert, evaluation, reading, request


@dataclasses.dataclass(frozen=True)
class Sink:
    settings: Settings
    producer: Producer

    def put(self, topic: str, *values: bytes) -> None:
        for value in values:
            self.producer.produce(self.settings.topics.name(topic), value)
        assert self.producer.flush(10) == 0


@pytest.fixture
def sink(mock_kafka: Kafka) -> Sink:
    settings = Settings(
        kafka=KafkaTable(brokers=(mock_kafka.bootstrap,)),
        topics=Topics(prefix=f"t{uuid.uuid4().hex[:8]}"),
    )
    producer = Producer({"bootstrap.servers": mock_kafka.bootstrap})
    for topic in TYPES:  # asking makes them
        producer.list_topics(settings.topics.name(topic), timeout=10)
    return Sink(settings, producer)


def read(outputs: Outputs, count: int) -> list[Evaluation | Alert | RetrainRequest]:
    found: list[Evaluation | Alert | RetrainRequest] = []
    for _ in range(100):
        found += outputs.read(0.1)
        if len(found) >= count:
            break
    return found


def test_all_three_kinds_come_in_order(sink: Sink) -> None:
    sink.put("retrain-requests", encode(request(8)))
    sink.put("alerts", encode(alert(8)), encode(alert(9)))
    sink.put("evaluations", encode(evaluation(8, reading())), encode(evaluation(9, reading())))
    outputs = Outputs(sink.settings)
    try:
        found = read(outputs, 5)
    finally:
        outputs.close()
    ids = ["evaluation-8-0", "alert-age-8-firing", "request-8", "evaluation-9-0"]
    assert sorted(event.id for event in found) == sorted([*ids, "alert-age-9-firing"])


def test_what_was_there_before_is_read_too_and_by_everybody(sink: Sink) -> None:
    sink.put("alerts", encode(alert(8)))
    for _ in range(2):
        outputs = Outputs(sink.settings)
        try:
            assert [event.id for event in read(outputs, 1)] == ["alert-age-8-firing"]
        finally:
            outputs.close()


def test_topics_that_are_empty_yet_are_read_from_their_beginning(sink: Sink) -> None:
    outputs = Outputs(sink.settings)
    try:
        sink.put("alerts", encode(alert(8)), encode(alert(9)))
        assert len(read(outputs, 2)) == 2
    finally:
        outputs.close()


def test_no_broker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.outputs.ADMIN_S", 0.5)
    with pytest.raises(ConnectionError):
        Outputs(Settings(kafka=KafkaTable(brokers=("127.0.0.1:1",))))
