"""Workers come and go: nothing is lost, nothing is counted twice; what cannot be used is said."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from agents import topics
from agents.app import EXIT_LATE
from agents.embedded import EmbeddedRedis, free_port
from agents.settings import TOPICS, load
from agents.worker import EXIT_UNFIT
from tests.processes import PATIENCE_S, Process
from tests.servers import Kafka
from tests.workers import HOUR_MS, START_MS, Deploy, Deployment, prediction, truth

OK, USAGE = 0, 2
ROWS = 3_000
LABELS = """
[models.m]
task = "classification"
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
"""


def story(first: int, last: int) -> tuple[list[Any], list[Any]]:
    """Predictions spread over three hours, every fifth with its truth half a minute later."""
    predictions, truths = [], []
    for i in range(first, last):
        at = START_MS + i * 3 * HOUR_MS // ROWS
        predictions.append(prediction(i, at, {"x": float(i % 7)}, prediction="yes"))
        if i % 5 == 0:
            truths.append(truth(i, at + 30_000, "yes" if i % 10 else "no"))
    return predictions, truths


def tell(d: Deployment, first: int, last: int) -> None:
    predictions, truths = story(first, last)
    d.send("predictions", predictions)
    d.send("ground-truth", truths)


def counts(d: Deployment) -> tuple[list[int], int]:
    """Rows of each window of predictions, and of all windows of outcomes together."""
    inputs = [e["rows"] for e in d.evaluations() if e["window"]["revision"] == 0]
    return inputs, sum(e["rows"] for e in d.evaluations("quality"))


def check_all(d: Deployment) -> None:
    """All was counted, once; no late revision was needed."""
    d.close_time("m", START_MS + 4 * HOUR_MS)
    d.until(lambda: counts(d) >= ([ROWS // 3] * 3, ROWS // 5))
    d.until_idle()
    assert counts(d) == ([ROWS // 3] * 3, ROWS // 5)
    assert [e["window"]["revision"] for e in d.events("evaluations")] == [0] * len(
        d.events("evaluations")
    )


def test_a_stopped_worker_leaves_everything_to_its_successor(deploy: Deploy) -> None:
    d = deploy(LABELS)
    first = d.start()
    tell(d, 0, 1_000)
    d.until_taken_in()
    tell(d, 1_000, 2_000)
    assert first.stop() == OK
    tell(d, 2_000, ROWS)
    d.start()
    check_all(d)


def test_a_worker_stops_in_time_while_redis_is_away(
    mock_kafka: Kafka, own_redis: EmbeddedRedis, namespace: str, tmp_path: Path
) -> None:
    settings = {"checkpoint_s": 0.2, "shutdown_s": 6}
    with Deployment(mock_kafka, own_redis.url, namespace, tmp_path, LABELS, worker=settings) as d:
        worker = d.start()
        tell(d, 0, 1_000)
        d.until_taken_in()
        own_redis.kill()
        tell(d, 1_000, 2_000)
        d.until_taken_in()
        assert worker.stop(PATIENCE_S) in (OK, EXIT_LATE)
        d.processes.remove(worker)  # its end is no surprise
        own_redis.start()
        d.start()
        tell(d, 2_000, ROWS)
        check_all(d)


# On a real Kafka only: rebalances and admin calls.


def test_redis_restarted_in_between_loses_nothing(
    deploy_real: Deploy, own_redis: EmbeddedRedis
) -> None:
    d = deploy_real(LABELS, own_redis.url)
    d.start()
    for first in range(0, ROWS, 500):
        tell(d, first, first + 500)
        if first in (500, 1_500):
            d.until_taken_in()  # a worker that starts without Redis ends
            own_redis.kill()
            time.sleep(0.5)
            own_redis.start()
    check_all(d)


def test_of_two_workers_one_is_killed(deploy_real: Deploy) -> None:
    d = deploy_real(LABELS)
    d.start()
    second = d.start()
    for first in range(0, ROWS, 500):
        tell(d, first, first + 500)
        if first == 1_000:
            d.until(lambda: "Setting newly assigned partitions" in second.log())
            second.kill()
        if first == 2_000:
            d.start()
    check_all(d)


def test_a_worker_that_was_away_too_long_writes_nothing_over_its_successor(
    deploy_real: Deploy,
) -> None:
    d = deploy_real(LABELS)
    first = d.start()
    tell(d, 0, 1_000)
    first.process.send_signal(signal.SIGSTOP)
    d.start()
    tell(d, 1_000, 2_000)
    d.until_taken_in()
    first.process.send_signal(signal.SIGCONT)
    tell(d, 2_000, ROWS)
    check_all(d)
    assert first.process.poll() is None


def test_stages_can_be_workers_of_their_own(deploy_real: Deploy) -> None:
    d = deploy_real(LABELS)
    d.start("intake")
    d.start("ledger,watch")
    tell(d, 0, ROWS)
    check_all(d)


def test_topics_are_made_as_they_should_be(deploy_real: Deploy) -> None:
    d = deploy_real(topics={"partitions": 3})
    d.start()
    settings = load(d.config)
    for name in TOPICS:
        found = config_of(d, name)
        told = topics.config_of(settings, name)
        assert {key: found[key] for key in told} == told
    assert config_of(d, "control")["retention.ms"] == "-1"
    assert int(config_of(d, "events")["max.message.bytes"]) > 2_000_000
    assert [d.partitions(name) for name in TOPICS] == [3] * len(TOPICS)


def config_of(d: Deployment, name: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, d.topic(name))
    admin = AdminClient({"bootstrap.servers": d.kafka.bootstrap})
    found = admin.describe_configs([resource])[resource].result(30)
    return {key: entry.value for key, entry in found.items()}


def test_topics_that_are_there_may_have_other_partition_counts(deploy_real: Deploy) -> None:
    d = deploy_real(LABELS)
    for number, name in enumerate(TOPICS, 1):
        d.kafka.create_topics(d.topic(name), partitions=number)
    d.start()
    tell(d, 0, ROWS)
    check_all(d)


def test_a_source_topic_made_anew_is_refused(deploy_real: Deploy) -> None:
    d = deploy_real(LABELS)
    worker = d.start()
    tell(d, 0, 500)
    d.until_idle()
    assert worker.stop() == OK
    d.make_anew("predictions")
    worker = d.start(wait=False)
    tell(d, 0, 500)
    said = refused(worker, EXIT_UNFIT)
    assert f"topic {d.topic('predictions')} was deleted and made anew" in said


def refused(process: Process, code: int) -> str:
    """What it says; it ends by itself, in words and without a traceback."""
    assert process.process.wait(PATIENCE_S) == code, process.log()
    assert "Traceback" not in process.log(), process.log()
    return process.log()


# What cannot be used, at start


def test_no_redis_is_said(mock_kafka: Kafka, namespace: str, tmp_path: Path) -> None:
    url = f"redis://:secret-word@127.0.0.1:{free_port()}/0"
    with Deployment(mock_kafka, url, namespace, tmp_path) as d:
        said = refused(d.start(wait=False), EXIT_UNFIT)
        assert "Redis cannot be reached" in said
        assert "secret-word" not in said


def test_no_kafka_is_said(redis_url: str, namespace: str, tmp_path: Path) -> None:
    nowhere = Kafka(f"127.0.0.1:{free_port()}", "given", "nobody")
    with Deployment(nowhere, redis_url, namespace, tmp_path) as d:
        assert "Kafka does not answer" in refused(d.start(wait=False), EXIT_UNFIT)


def test_topics_that_may_not_be_made_are_named(deploy_real: Deploy) -> None:
    d = deploy_real(topics={"create": False})
    said = refused(d.start(wait=False), EXIT_UNFIT)
    assert f"no topic '{d.topic('predictions')}' in Kafka" in said
    assert "`create` of [topics] is false" in said


@pytest.fixture
def busy_port() -> Iterator[int]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def test_a_port_in_use_is_said(
    mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path, busy_port: int
) -> None:
    http = {"port": busy_port}
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, http=http) as d:
        said = refused(d.start(wait=False), USAGE)
        assert f"http.port = {busy_port}: cannot listen on 127.0.0.1" in said
