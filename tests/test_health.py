"""Health: what the endpoint answers, and that a worker is not ready while something is wrong."""

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import health
from agents.counters import Counters
from agents.embedded import EmbeddedRedis, free_port
from agents.health import CHECKS, ENDPOINTS, HUNG_S, Health
from agents.inspections import LATE_S, late_after_s
from tests.brokers import ApacheKafka
from tests.conftest import ROOT
from tests.servers import Kafka
from tests.workers import START_MS, Deployment, prediction, truth

Answer = tuple[int, str, Any]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def get(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    """Status, content type, and the body: JSON as an object, else text."""
    url = f"http://127.0.0.1:{port}{path}"
    asked = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            status, kind, body = answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, kind, body = error.code, error.headers["Content-Type"], error.read()
    is_json = kind == "application/json" and body
    return status, kind, json.loads(body) if is_json else body.decode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def port(known: Health) -> Iterator[int]:
    number = free_port()
    end = health.serve("127.0.0.1", number, known, Counters().registry)
    yield number
    end()


def test_a_process_lives_while_its_loop_turns(known: Health, clock: Clock, port: int) -> None:
    assert get(port, "/healthz") == (200, "application/json", {"status": "alive"})
    clock.now_s += HUNG_S + 1
    status, _, body = get(port, "/healthz")
    assert (status, body["status"]) == (503, "not_alive")
    assert body["not_alive"] == {"event_loop": "has not turned for 31 s"}
    known.turn()
    assert get(port, "/healthz")[0] == 200


def test_nothing_is_ready_before_it_was_looked_at(known: Health, port: int) -> None:
    status, _, body = get(port, "/readyz")
    assert status == 503
    assert body == {"status": "not_ready", "not_ready": dict(known.wrong)}
    assert set(known.wrong) | {"event_loop"} == set(CHECKS)


def test_readiness_names_what_is_wrong(known: Health, clock: Clock, port: int) -> None:
    known.wrong = {}
    assert get(port, "/readyz") == (200, "application/json", {"status": "ready"})
    known.wrong = {"redis": "Connection refused"}
    assert get(port, "/readyz")[2]["not_ready"] == {"redis": "Connection refused"}
    clock.now_s += HUNG_S + 1
    assert set(get(port, "/readyz")[2]["not_ready"]) == {"event_loop", "redis"}


def test_counters_come_in_the_format_that_is_asked_for(port: int) -> None:
    status, kind, text = get(port, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain")
    assert "# HELP driftline_partitions" in text
    openmetrics = get(port, "/metrics?x=1", Accept="application/openmetrics-text;version=1.0.0")
    assert openmetrics[1].startswith("application/openmetrics-text")
    assert openmetrics[2].rstrip().endswith("# EOF")


def test_anything_else_is_not_there(port: int) -> None:
    assert get(port, "/") == (404, "application/json", {"known": list(ENDPOINTS)})
    assert get(port, "/metrics/../../etc/passwd")[0] == 404
    assert get(port, "/healthz", "HEAD") == (200, "application/json", "")
    assert get(port, "/healthz", "POST")[0] == 501


def test_a_client_that_says_nothing_holds_nobody_up(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"GET /heal")
        assert get(port, "/healthz")[0] == 200


def test_a_port_in_use_is_an_error(known: Health, port: int) -> None:
    with pytest.raises(OSError, match="in use"):
        health.serve("127.0.0.1", port, known, Counters().registry)


def test_checkpoints_are_late_after_ten_of_them() -> None:
    assert late_after_s(1.0) == LATE_S
    assert late_after_s(60.0) == 600.0


def test_join_coverage_is_what_was_joined_of_what_was_predicted() -> None:
    counters = Counters()
    counters.cover()
    assert counters.registry.get_sample_value("driftline_join_coverage") == 0.0
    for outcome, rows in {"predictions": 200, "outcomes": 60, "outcomes-taken-back": 10}.items():
        counters.rows.labels(outcome).inc(rows)
    counters.cover()
    assert counters.registry.get_sample_value("driftline_join_coverage") == 0.25
    counters.rows.labels("predictions-sampled-out").inc(100)
    counters.cover()
    assert counters.registry.get_sample_value("driftline_join_coverage") == 0.5


def test_the_docs_name_every_endpoint_and_check() -> None:
    page = (ROOT / "docs" / "operation.md").read_text(encoding="utf-8")
    for name, meaning in (ENDPOINTS | CHECKS).items():
        assert f"| `{name}` | {meaning} |" in page


# -- a worker


def not_ready(d: Deployment) -> dict[str, str]:
    """What a worker says is wrong with it; nothing if it is ready."""
    try:
        found: dict[str, str] = get(d.port, "/readyz")[2].get("not_ready", {})
    except urllib.error.URLError:
        return {"endpoint": "not there yet"}
    return found


@contextlib.contextmanager
def worker(kafka: str, redis_url: str, name: str, folder: Path) -> Iterator[Deployment]:
    """A deployment with one worker, once that is ready."""
    address = Kafka(kafka, "apache", "")
    with Deployment(address, redis_url, name, folder, HOURLY) as d:
        d.start(http=True)
        d.until(lambda: not not_ready(d))
        yield d


HOURLY = "\n[models.m]\npane_s = 3600\nwindows_s = [3600]\nidle_s = '1h'\n"


def test_a_worker_counts_what_it_does(
    broker: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    with worker(broker.bootstrap, redis_url, namespace, tmp_path) as d:
        assert get(d.port, "/healthz")[0] == 200
        ages = [float(20 + i % 50) for i in range(500)]
        features = {"age": {"values": ages}}
        d.control("reference", "m", version="1", features=features, active_from=START_MS)
        rows = [prediction(i, START_MS + i, {"age": 90.0}, prediction="a") for i in range(200)]
        d.send("predictions", [*rows, b"not JSON"])
        d.send("ground-truth", (truth(i, START_MS + 500, "a") for i in range(50)))
        d.close_time("m", START_MS + 3_600_000)
        d.until(lambda: d.events("alerts"))
        wanted = {
            'driftline_events_total{outcome="accepted",topic="predictions"}': 200,
            'driftline_events_total{outcome="rejected",topic="predictions"}': 1,
            'driftline_dead_letters_total{reason="not-json"}': 1,
            'driftline_rows_total{outcome="predictions"}': 200,
            'driftline_alerts{state="firing"}': 1,
            "driftline_join_coverage": 0.25,
        }
        d.until(lambda: wanted.items() <= d.counters().items())
        d.until(lambda: sum(v for k, v in d.counters().items() if "_lag_records{" in k) == 0)
        told = d.counters()
        late_s = time.time() - START_MS / 1000 - 3_600
        assert told['driftline_watermark_delay_seconds{kind="inputs"}'] == pytest.approx(
            late_s, abs=60
        )
        for stage in ("ledger", "watch"):
            assert told[f'driftline_checkpoint_seconds_count{{stage="{stage}"}}'] > 0
            assert told[f'driftline_checkpoint_bytes_sum{{stage="{stage}"}}'] > 0
            assert told[f'driftline_checkpoint_age_seconds{{stage="{stage}"}}'] < 10
        assert sum(k.startswith("driftline_lag_records{") for k in told) == 20


def test_a_worker_without_redis_is_alive_and_not_ready(
    broker: Kafka, own_redis: EmbeddedRedis, namespace: str, tmp_path: Path
) -> None:
    with worker(broker.bootstrap, own_redis.url, namespace, tmp_path) as d:
        own_redis.kill()
        d.until(lambda: "redis" in not_ready(d))
        assert get(d.port, "/healthz")[0] == 200
        own_redis.start()
        d.until(lambda: not not_ready(d))


def test_a_worker_without_kafka_is_alive_and_not_ready(
    real_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    with (
        ApacheKafka(tmp_path / "kafka") as own,
        worker(own.bootstrap, redis_url, namespace, tmp_path) as d,
    ):
        own.kill()
        d.until(lambda: "kafka" in not_ready(d))
        assert get(d.port, "/healthz")[0] == 200
        own.start()
        d.until(lambda: not not_ready(d), 60)


def test_a_worker_that_has_ended_answers_nothing(
    mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    with worker(mock_kafka.bootstrap, redis_url, namespace, tmp_path) as d:
        assert d.processes[0].stop() == 0
        with pytest.raises(urllib.error.URLError):
            get(d.port, "/healthz")
