"""Real worker processes on servers that ask who they are: the main job, and every way to fail."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import security
from agents.clusters import Cluster
from agents.settings import load
from tests.certificates import Papers
from tests.leaks import leaks, leaks_in_logs, new_secret
from tests.secured import USER, SecuredKafka, SecuredRedis
from tests.servers import Kafka
from tests.workers import HOUR_MS, START_MS, Deployment, prediction

START_S = 60
HOURLY = "\n[models.m]\npane_s = 3600\nwindows_s = [3600]\nidle_s = '1h'\npower = 0\n"


class SecuredDeployment(Deployment):
    """The same with passwords in files, and with clients of the test's that show theirs too."""

    def __init__(
        self,
        kafka: SecuredKafka,
        redis: SecuredRedis,
        papers: Papers,
        name: str,
        folder: Path,
        listener: str = "SASL_SSL",
        **changes: Any,
    ) -> None:
        """changes: of the settings, as `kafka__mechanism`; None takes a key away."""
        keys = _keys(kafka, redis, papers, folder) | changes
        address = Kafka(str(keys.pop("brokers", kafka.addresses[listener])), "secured", "")
        url = str(keys.pop("url", redis.url))
        super().__init__(address, url, name, folder, _tables(keys) + HOURLY)

    def let_in(self) -> None:
        """The test's own clients take the worker's settings."""
        self.access = security.kafka_config(load(self.config).kafka)

    def cluster(self) -> Cluster:
        """The Kafka, to be asked."""
        return Cluster(load(self.config).kafka)


def _keys(kafka: SecuredKafka, redis: SecuredRedis, papers: Papers, folder: Path) -> dict[str, Any]:
    for name, password in (("kafka", kafka.password), ("redis", redis.password)):
        (folder / f"{name}-password").write_text(f"{password}\n")
    return {
        "kafka__tls": "true",
        "kafka__username": USER,
        "kafka__password_file": folder / "kafka-password",
        "kafka__ca_file": papers.authority.certificate,
        "redis__username": USER,
        "redis__password_file": folder / "redis-password",
        "redis__ca_file": papers.authority.certificate,
    }


def _tables(keys: dict[str, Any]) -> str:
    lines = []
    for table in ("kafka", "redis"):
        lines.append(f"[{table}.security]")
        for key, value in keys.items():
            if key.startswith(f"{table}__") and value is not None:
                plain = value in {"true", "false"}
                lines.append(f"{key.split('__')[1]} = {value if plain else repr(str(value))}")
    return "\n".join(lines)


@pytest.fixture
def told(
    secured_kafka: SecuredKafka,
    secured_redis: SecuredRedis,
    papers: Papers,
    namespace: str,
    tmp_path: Path,
) -> tuple[Any, ...]:
    """What a SecuredDeployment is made of."""
    return secured_kafka, secured_redis, papers, namespace, tmp_path


@pytest.fixture(params=["PLAIN", "SCRAM-SHA-512"])
def deployment(
    request: pytest.FixtureRequest, told: tuple[Any, ...]
) -> Iterator[SecuredDeployment]:
    with SecuredDeployment(*told, kafka__mechanism=request.param) as made:
        made.let_in()
        yield made


def test_reference_predictions_alert_with_everything_encrypted(
    deployment: SecuredDeployment,
) -> None:
    d = deployment
    worker = d.start()
    ages = [float(20 + i % 50) for i in range(1_000)]
    d.control(
        "reference", "m", version="1", features={"age": {"values": ages}}, active_from=START_MS
    )
    for hour in range(4):
        shift = 30.0 if hour else 0.0
        time_ms = START_MS + hour * HOUR_MS
        d.send(
            "predictions",
            (
                prediction(1_000 * hour + i, time_ms + i, {"age": age + shift})
                for i, age in enumerate(ages[:500])
            ),
        )
    d.close_time("m", START_MS + 4 * HOUR_MS)
    d.until(lambda: len(d.evaluations()) >= 4)
    verdicts = [e["readings"][0]["verdict"] for e in d.evaluations()[:4]]
    assert verdicts == ["ok", "moved", "moved", "moved"]
    d.until(lambda: d.events("alerts"))
    for command, said in COMMANDS.items():
        done = driftline(*command.split(), "--config", str(d.config))
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    assert worker.stop() == 0
    assert not leaks(d.logs())


COMMANDS = {
    "topics check": "alerts",
    "status": "firing",
    "tail alerts --from beginning --no-follow --json": '"state":"firing"',
}


def driftline(*words: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "agents.commands", *words],
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    print(done.stdout, done.stderr)  # searched for passwords by the hook of all tests
    return done


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "password": ({"kafka__password_file": "wrong"}, "Kafka cannot be used with these credentials"),
    "user": ({"kafka__username": "nobody"}, "Kafka cannot be used with these credentials"),
    "authority": ({"kafka__ca_file": "stranger"}, "certificate could not be verified"),
    "no TLS": (
        {"kafka__tls": None, "kafka__username": None, "kafka__password_file": None}
        | {"kafka__ca_file": None},
        "Kafka does not answer",
    ),
    "TLS to an open listener": ({"listener": "PLAINTEXT"}, "connecting to a PLAINTEXT broker"),
    "no certificate": (
        {"listener": "SSL", "kafka__username": None, "kafka__password_file": None},
        "Kafka cannot be used with these credentials",
    ),
    "nobody there": ({"brokers": "127.0.0.1:1"}, "Kafka does not answer"),
    "Redis: password": ({"redis__password_file": "wrong"}, "Redis refuses the user"),
    "Redis: no user": (
        {"redis__username": None, "redis__password_file": None},
        "Redis refuses the user",
    ),
    "Redis: authority": ({"redis__ca_file": "stranger"}, "certificate verify failed"),
    "Redis: no TLS": (
        {"redis__ca_file": None, "redis__username": None, "redis__password_file": None}
        | {"url": "plain"},
        "Redis cannot be reached",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_get_in_says_why_and_shows_no_password(
    told: tuple[Any, ...], case: str
) -> None:
    _, redis, papers, _, folder = told
    (folder / "wrong").write_text(new_secret())
    known = {
        "wrong": folder / "wrong",
        "stranger": papers.stranger.certificate,
        "plain": f"redis://127.0.0.1:{redis.port}/0",
    }
    changes, said = WRONG[case]
    changes = {key: known.get(value, value) for key, value in changes.items()}
    with SecuredDeployment(*told, **changes) as made:
        done = driftline("worker", "--config", str(made.config))
    assert done.returncode == 69, done.stderr
    assert said in done.stderr
    assert "Look at [" in done.stderr or "listener" in done.stderr or "Is Kafka" in done.stderr
    assert "Traceback" not in done.stderr
    assert not leaks(done.stdout + done.stderr)


def test_the_search_for_passwords_finds_one(tmp_path: Path) -> None:
    secret = new_secret()
    (tmp_path / "worker-0.log").write_text(f"connecting as u:{secret}\n")
    assert len(leaks_in_logs(tmp_path)) == 1
    assert leaks(f"://u:{secret}@h")
    (tmp_path / "worker-0.log").unlink()  # or this run would fail for it
