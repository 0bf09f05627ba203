"""Tail: what is there, what comes, for people and for programs; nothing of it moves a terminal."""

import dataclasses
import json
import threading
import time
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

import schemas
from agents import tail
from agents.settings import Kafka as KafkaTable
from agents.settings import Settings, Topics
from agents.store import Unusable
from agents.tail import Record, Tail, line, printable
from tests.servers import Kafka

EXAMPLES: dict[str, dict[str, Any]] = {
    "alerts": schemas.load("alert.v1")["examples"][0],
    "retrain-requests": schemas.load("retrain-request.v1")["examples"][0],
    "evaluations": schemas.load("evaluation.v1")["examples"][0],
}
LETTER = Record(
    "d.dead-letters",
    0,
    7,
    1_704_067_200_000,
    b"k",
    b'{"model": "m", "time": "now"}',
    {
        "driftline-reason": b"time-not-rfc3339",
        "driftline-error": b"now",
        "driftline-topic": b"d.predictions",
        "driftline-partition": b"3",
        "driftline-offset": b"12",
        "other": b"\xff",
    },
)


def settings(kafka: Kafka, name: str) -> Settings:
    return Settings(kafka=KafkaTable(brokers=(kafka.bootstrap,)), topics=Topics(prefix=name))


def record(value: object, topic: str = "alerts") -> Record:
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Record(f"d.{topic}", 0, 0, 0, b"", raw, {})


def publish(s: Settings, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": s.kafka.brokers[0], "log_level": 2})
    for value in values:
        producer.produce(s.topics.name(topic), value)
    assert producer.flush(10) == 0


@pytest.mark.parametrize("topic", EXAMPLES)
def test_an_event_for_people_and_for_programs(topic: str) -> None:
    event = EXAMPLES[topic]
    text = line(topic, record(event), None, as_json=False)
    assert text is not None
    assert event["model"] in text
    printed = line(topic, record(event), None, as_json=True)
    assert printed is not None
    assert json.loads(printed) == event, "as it was published"


@pytest.mark.parametrize("topic", EXAMPLES)
def test_other_models_are_left_out(topic: str) -> None:
    event = EXAMPLES[topic]
    assert line(topic, record(event), event["model"], as_json=False)
    assert line(topic, record(event), "another", as_json=False) is None


def test_an_alert_says_what_it_means_only_while_it_fires() -> None:
    event = EXAMPLES["alerts"]
    firing = line("alerts", record(event | {"state": "firing"}), None, as_json=False)
    resolved = line("alerts", record(event | {"state": "resolved"}), None, as_json=False)
    assert event["action"] in (firing or "")
    assert event["action"] not in (resolved or "")
    assert event["reason"] in (resolved or "")


def test_an_evaluation_names_what_moved_and_counts_the_rest() -> None:
    event = EXAMPLES["evaluations"]
    reading = event["readings"][0]
    both = [reading | {"verdict": "moved"}, reading | {"verdict": "ok"}]
    changed = event | {"readings": both, "notes": ["late rows"]}
    text = line("evaluations", record(changed), None, as_json=False)
    assert "1 moved, 1 not" in (text or "")
    assert (text or "").count(reading["reason"]) == 1
    assert "note: late rows" in (text or "")


def test_what_became_of_a_request_is_said_in_words() -> None:
    event = next(e for e in schemas.load("evaluation.v1")["examples"] if "retrained" in e)
    head, *notes = (line("evaluations", record(event), None, as_json=False) or "").split("\n")
    assert head.endswith("4,096 rows  retraining-worked")
    assert notes == [f"    note: {event['retrained']['reason']}"]


def test_a_dead_letter_says_why_and_where() -> None:
    text = line("dead-letters", LETTER, "m", as_json=False)
    assert text is not None
    assert "2024-01-01  time-not-rfc3339: now" in text
    assert "d.predictions[3] offset 12" in text
    printed = json.loads(line("dead-letters", LETTER, None, as_json=True) or "")
    assert printed["reason"] == "time-not-rfc3339"
    assert printed["value"] == '{"model": "m", "time": "now"}'
    assert line("dead-letters", LETTER, "another", as_json=False) is None


def test_a_dead_letter_that_is_no_text_is_given_in_base64() -> None:
    binary = dataclasses.replace(LETTER, value=b"\xff\x00", key=None)
    printed = json.loads(line("dead-letters", binary, None, as_json=True) or "")
    assert (printed["key"], printed["value"]) == (None, {"base64": "/wA="})


def test_a_long_dead_letter_is_cut() -> None:
    long = dataclasses.replace(LETTER, value=b"x" * 10_000)
    text = line("dead-letters", long, None, as_json=False) or ""
    assert len(text) < 500
    assert "(10,000)" in text


@given(st.binary())
def test_nothing_in_a_record_can_do_something_to_a_terminal(raw: bytes) -> None:
    letter = dataclasses.replace(LETTER, value=raw, headers={"driftline-error": raw})
    text = line("dead-letters", letter, None, as_json=False) or ""
    assert all(part.isprintable() for part in text.split("\n"))
    assert len(text.split("\n")) == 2
    assert printable("\x1b[2J") == "\\x1b[2J"


@given(st.binary())
def test_what_is_none_of_our_events_is_said(raw: bytes) -> None:
    assert "not one of" in (line("alerts", record(raw), None, as_json=False) or "")
    assert line("alerts", record(raw), None, as_json=True) is None


def test_all_that_is_there_then_an_end(broker: Kafka, namespace: str) -> None:
    s = settings(broker, namespace)
    broker.create_topics(s.topics.name("alerts"))
    publish(s, "alerts", *(b"%d" % i for i in range(1_200)))
    reader = Tail(s, "alerts", beginning=True)
    found = {record.value for record in reader.all(follow=False)}
    reader.close()
    assert found == {b"%d" % i for i in range(1_200)}


def test_only_what_comes_from_now_on(broker: Kafka, namespace: str) -> None:
    s = settings(broker, namespace)
    broker.create_topics(s.topics.name("alerts"))
    publish(s, "alerts", b"before")
    reader = Tail(s, "alerts", beginning=False)
    assert list(reader.all(follow=False)) == []
    later = threading.Timer(0.5, publish, (s, "alerts", b"after"))
    later.start()
    assert next(iter(reader.all(follow=True))).value == b"after"
    reader.close()
    later.join()


def test_an_empty_topic_ends_at_once(mock_kafka: Kafka, namespace: str) -> None:
    s = settings(mock_kafka, namespace)
    mock_kafka.create_topics(s.topics.name("alerts"))
    begun = time.monotonic()
    reader = Tail(s, "alerts", beginning=True)
    assert list(reader.all(follow=False)) == []
    reader.close()
    assert time.monotonic() - begun < 5


def test_a_missing_topic_is_said(real_kafka: Kafka, namespace: str) -> None:
    with pytest.raises(Unusable, match="driftline topics create"):
        Tail(settings(real_kafka, namespace), "alerts", beginning=True)


def test_no_broker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "ADMIN_S", 1.0)
    nowhere = Settings(kafka=KafkaTable(brokers=("127.0.0.1:1",)))
    with pytest.raises(ConnectionError, match="does not answer"):
        Tail(nowhere, "alerts", beginning=True)
