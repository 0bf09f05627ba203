"""The bridge: every event once and in order, over failures, restarts and repetition."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import Producer

from agents import commands
from agents.bridge import Bridge, Ids, Plan
from agents.settings import Kafka as KafkaTable
from agents.settings import Settings, Topics
from agents.sinks import Event, Refused, Unreachable, Webhook
from tests.hooks import Hook
from tests.servers import Kafka
from tests.test_producers import read

PATIENCE_S = 30.0


class Basket:
    """A sink that keeps what it is given, and fails as it is told."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.tried: list[str] = []
        self.events: list[Event] = []
        self.closed = False

    def deliver(self, event: Event) -> None:
        self.tried.append(event.attributes["id"])
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.events.append(event)

    def close(self) -> None:
        self.closed = True

    @property
    def ids(self) -> list[str]:
        return [event.attributes["id"] for event in self.events]


class Post:
    """Topics of its own, and what lies in them."""

    def __init__(self, kafka: Kafka, prefix: str) -> None:
        self.kafka = kafka
        table = KafkaTable(brokers=(kafka.bootstrap,), group_id=prefix, session_timeout_s=6)
        self.settings = Settings(kafka=table, topics=Topics(prefix=prefix))
        names = ("alerts", "retrain-requests", "dead-letters")
        kafka.create_topics(*map(self.settings.topics.name, names), partitions=2)
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap})

    def put(self, *ids: str, topic: str = "alerts", value: bytes | None = None) -> None:
        for one in ids:
            headers: list[Any] = [
                ("ce_id", one), ("ce_type", "t"), ("ce_source", "/s"), ("ce_specversion", "1.0"),
            ]  # fmt: skip
            body = b'{"id": "%s"}' % one.encode() if value is None else value
            self._producer.produce(
                self.settings.topics.name(topic), body, partition=0,
                headers=headers if value is None else [],
            )  # fmt: skip
        assert self._producer.flush(10) == 0

    def letters(self) -> list[dict[str, bytes]]:
        topic = self.settings.topics.name("dead-letters")
        partitions = 2 if self.kafka.is_real else 4
        found = read(self.kafka.bootstrap, topic, partitions)
        return [dict(headers) | {"value": value} for some in found for _, value, headers in some]

    @contextlib.contextmanager
    def bridge(
        self, sink: Any, *, topics: Sequence[str] = ("alerts",), **options: Any
    ) -> Iterator[Bridge]:
        options = {"first_s": 0.05, "last_s": 0.2} | options
        made = Bridge(
            self.settings, sink, Plan(topics, f"{self.settings.kafka.group_id}-b", **options)
        )
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            made.stop()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@pytest.fixture
def post(broker: Kafka) -> Post:
    return Post(broker, f"t{uuid.uuid4().hex[:8]}")


@pytest.fixture
def mock_post(mock_kafka: Kafka) -> Post:
    return Post(mock_kafka, f"t{uuid.uuid4().hex[:8]}")


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_events_come_in_order_and_each_once(post: Post) -> None:
    post.put("1", "2", "2", "3", "1")
    basket = Basket()
    with post.bridge(basket) as bridge:
        until(lambda: bridge.counts == {"delivered": 3, "repeated": 2, "refused": 0})
        post.put("4", "2")
        until(lambda: bridge.counts["repeated"] == 3)
    assert basket.ids == ["1", "2", "3", "4"]
    assert basket.closed
    assert basket.events[0].attributes == {
        "id": "1", "type": "t", "source": "/s", "specversion": "1.0"
    }  # fmt: skip


def test_a_restart_goes_on_where_it_stopped_and_knows_what_was_before(post: Post) -> None:
    post.put("1", "2", "3")
    with post.bridge(first := Basket()):
        until(lambda: first.ids == ["1", "2", "3"])
    post.put("2", "4")  # 2 again, as a worker does that died before it knew that it had published
    with post.bridge(second := Basket()) as bridge:
        until(lambda: bridge.counts == {"delivered": 1, "repeated": 1, "refused": 0})
        assert second.ids == ["4"]


def test_what_is_away_is_tried_until_it_is_back(post: Post) -> None:
    post.put("1", "2")
    basket = Basket(*[Unreachable("away")] * 4)
    with post.bridge(basket):
        until(lambda: basket.ids == ["1", "2"])
    assert basket.tried == ["1"] * 5 + ["2"]
    assert post.letters() == []


def test_what_is_refused_is_a_dead_letter_and_the_rest_goes_on(post: Post) -> None:
    post.put("1", "2")
    basket = Basket(Refused("the sink answered 400"))
    with post.bridge(basket) as bridge:
        until(lambda: basket.ids == ["2"])
        assert bridge.counts["refused"] == 1
    (letter,) = post.letters()
    assert letter["value"] == b'{"id": "1"}'
    assert letter["ce_id"] == b"1"
    assert letter["driftline-reason"] == b"sink-refused"
    assert letter["driftline-error"] == b"the sink answered 400"
    assert letter["driftline-topic"] == post.settings.topics.name("alerts").encode()
    assert (letter["driftline-partition"], letter["driftline-offset"]) == (b"0", b"0")


def test_patience_ends(mock_post: Post) -> None:
    mock_post.put("1", "2")
    basket = Basket(Unreachable("away"))
    with mock_post.bridge(basket, patience_s=0.0):
        until(lambda: basket.ids == ["2"])
    assert {letter["driftline-error"] for letter in mock_post.letters()} == {b"given up: away"}


def test_what_is_no_event_is_a_dead_letter(mock_post: Post) -> None:
    for value in (b"\xff", b"[]", b"{}", b"", b'{"id": ""}'):
        mock_post.put("x", value=value)
    mock_post.put("plain", value=b'{"id": "plain", "type": "t"}')
    basket = Basket()
    with mock_post.bridge(basket):
        until(lambda: basket.ids == ["plain"])
    assert len(mock_post.letters()) == 5
    assert basket.events[0].attributes == {"id": "plain", "type": "t"}


def test_a_stop_while_waiting_commits_nothing(mock_post: Post) -> None:
    mock_post.put("1")
    away = Basket(*[Unreachable("away", 600.0)])
    with mock_post.bridge(away):
        until(lambda: away.tried == ["1"])
    with mock_post.bridge(back := Basket()):
        until(lambda: back.ids == ["1"])


def test_a_new_bridge_may_leave_out_the_past(mock_post: Post) -> None:
    mock_post.put("1", "2")
    basket = Basket()
    with mock_post.bridge(basket, new_only=True) as bridge:
        until(lambda: bridge._next)
        mock_post.put("3")
        until(lambda: basket.ids == ["3"])
    mock_post.put("4")
    with mock_post.bridge(later := Basket(), new_only=True):
        until(lambda: later.ids == ["4"])


def test_several_topics_through_a_real_webhook(post: Post) -> None:
    post.put("1", "2")
    post.put("3", topic="retrain-requests")
    with Hook(503, 429, 404) as hook:
        topics = ("alerts", "retrain-requests")
        with post.bridge(Webhook(f"{hook.url}/in"), topics=topics) as bridge:
            until(lambda: bridge.counts == {"delivered": 2, "repeated": 0, "refused": 1})
    assert {r.headers["ce-id"] for r in hook.requests} == {"1", "2", "3"}
    assert len(hook.requests) == 5
    (letter,) = post.letters()
    assert letter["driftline-error"] == f"{hook.url} answered 404".encode()


def test_two_bridges_of_one_name_share_the_work(real_kafka: Kafka) -> None:
    post = Post(real_kafka, f"t{uuid.uuid4().hex[:8]}")
    one, other = Basket(), Basket()
    topics = ("alerts", "retrain-requests")
    with post.bridge(one, topics=topics), post.bridge(other, topics=topics):
        for i in range(20):
            post.put(f"a{i}")
            post.put(f"b{i}", topic="retrain-requests")
            time.sleep(0.05)
        until(lambda: len({*one.ids, *other.ids}) == 40)
    assert sorted(one.ids + other.ids) == sorted({*one.ids, *other.ids})


def test_ids_are_bounded_and_the_oldest_go_first() -> None:
    ids = Ids(3)
    for one in ("a", "b", "c", "a", "d"):
        ids.add(one)
    assert len(ids) == 3
    assert [one for one in "abcd" if one in ids] == ["a", "c", "d"]


# -- the command


def run_bridge(*words: str, **variables: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "agents.commands", "bridge", *words]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pigeon"], "'pigeon' must be of stdout, webhook"),
        (["webhook"], "http://"),
        (["webhook", "ftp://user:hidden@host/hidden"], "http://"),
        (["webhook", "https://host:hidden/"], "not a URL"),
        (["stdout", "--topics", "alerts,gossip"], "must be of alerts"),
        (["stdout", "--patience", "a while"], "'a while'"),
    ],
)
def test_wrong_arguments_are_said(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.run(["bridge", *words]) == 2
    out, err = capsys.readouterr()
    assert said in " ".join(err.replace("│", " ").split())
    assert "hidden" not in out + err


def test_the_command_delivers_until_it_is_told_to_stop(mock_post: Post) -> None:
    mock_post.put("1", "2")
    kafka = mock_post.settings.kafka
    variables = {
        "DRIFTLINE__KAFKA__BROKERS": kafka.brokers[0],
        "DRIFTLINE__KAFKA__GROUP_ID": kafka.group_id,
        "DRIFTLINE__TOPICS__PREFIX": mock_post.settings.topics.prefix,
    }
    process = run_bridge("stdout", "--topics", "alerts", **variables)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ['{"id": "1"}\n', '{"id": "2"}\n']
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, ""), err


def test_a_reader_that_leaves_ends_it_quietly(mock_post: Post) -> None:
    mock_post.put("1")
    kafka = mock_post.settings.kafka
    variables = {
        "DRIFTLINE__KAFKA__BROKERS": kafka.brokers[0],
        "DRIFTLINE__KAFKA__GROUP_ID": kafka.group_id,
        "DRIFTLINE__TOPICS__PREFIX": mock_post.settings.topics.prefix,
    }
    process = run_bridge("stdout", **variables)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    mock_post.put("2")
    assert process.wait(PATIENCE_S) == 0
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_the_address_may_come_from_the_environment_and_is_not_said(mock_post: Post) -> None:
    mock_post.put("1")
    kafka = mock_post.settings.kafka
    with Hook(500, 404) as hook:
        variables = {
            "DRIFTLINE__KAFKA__BROKERS": kafka.brokers[0],
            "DRIFTLINE__KAFKA__GROUP_ID": kafka.group_id,
            "DRIFTLINE__TOPICS__PREFIX": mock_post.settings.topics.prefix,
            "DRIFTLINE_WEBHOOK_URL": hook.url.replace("//", "//me:hidden@") + "/hidden?t=hidden",
        }
        process = run_bridge("webhook", **variables)
        until(lambda: len(hook.requests) == 2)
        until(mock_post.letters)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert f"{hook.url} answered 500" in err
    assert "hidden" not in out + err + repr(mock_post.letters())
