"""A real Apache Kafka from Maven Central: one KRaft node as a child process, no Docker.

`python -m tests.brokers` fetches what it needs (Java 17, Maven) and prints where it put it.
"""

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from agents.children import Child
from agents.embedded import free_port

HERE = Path(__file__).parent / "broker"
READY_S = 60.0
FETCH_S = 600.0
_CLIENT: dict[str, str | int | float | bool] = {
    "log_level": 2
}  # not a word about a broker that is still starting
_JAVA_OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a test's broker never lives long enough for the second compiler
    f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
)


class Unavailable(RuntimeError):
    """This kind of server cannot be had here; the text says why."""


def kafka_home() -> Path:
    """The cache folder, one for each version of pom.xml; DRIFTLINE_KAFKA_HOME names another."""
    if given := os.environ.get("DRIFTLINE_KAFKA_HOME"):
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "driftline" / f"kafka-{hashlib.sha256(_pom()).hexdigest()[:12]}"


def fetch() -> Path:
    """The folder of Kafka's jars, filled from Maven Central the first time. Raises Unavailable."""
    libs = kafka_home() / "libs"
    if libs.is_dir():
        return libs
    maven = _program("mvn")
    libs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libs.parent) as folder:
        _copy_jars(maven, Path(folder))
        try:
            (Path(folder) / "libs").rename(libs)  # whole or not at all
        except OSError:
            if not libs.is_dir():  # unless somebody else was faster
                raise
    return libs


class ApacheKafka:
    """One broker: `with ApacheKafka(folder) as kafka: kafka.bootstrap`.

    Its records lie in `folder` and outlive `kill()`, `stop()` and `start()`; so does its address.
    Clients that come through a proxy stay on it: they reach `behind`, and are told `proxy_port`.
    """

    def __init__(self, folder: Path, proxy_port: int = 0) -> None:
        """Raises Unavailable without Java, or without Maven while the cache is empty.

        proxy_port: of a proxy on the loopback, which is to pass on to `behind`; 0 for none.
        """
        self._java = _program("java")
        self._libs = fetch()
        self._folder = folder
        self._child: Child | None = None
        self._proxy_port = proxy_port
        self.bootstrap = ""
        self.behind = ""

    @property
    def version(self) -> str:
        """Kafka's version, as its jar says."""
        jar = next(self._libs.glob("kafka_2.13-*.jar"), None)
        return "?" if jar is None else jar.stem.removeprefix("kafka_2.13-")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers. Raises RuntimeError with its log."""
        if self.bootstrap:
            said = self._start()
        else:
            said = self._start_anew()
        if said:
            raise RuntimeError(f"Kafka does not start: {said}")

    def stop(self) -> None:
        """End it in an orderly way."""
        if self._child is not None:
            self._child.stop(patience_s=20)
        self._child = None

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            self._child.kill()
        self._child = None

    def log(self) -> str:
        """What it printed last."""
        return "" if self._child is None else self._child.log()

    def _start_anew(self, tries: int = 3) -> str:
        said = ""
        for _ in range(tries):  # another process may take a free port before Kafka does
            self._configure(free_port(), free_port())
            self._format()
            if not (said := self._start()):
                break
            shutil.rmtree(self._folder)
        return said

    def _start(self) -> str:
        """What went wrong, with the log; empty when it answers."""
        child = self._run("kafka.Kafka", str(self._folder / "server.properties"))
        if problem := _wait(child, self.bootstrap):
            said = f"{problem}\n{child.log()}"
            child.kill()
            return said
        self._child = child
        return ""

    def _configure(self, port: int, controller: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.bootstrap = f"127.0.0.1:{port}"
        listeners = f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}"
        advertised = listeners
        if self._proxy_port:
            self.behind = f"127.0.0.1:{free_port()}"
            listeners += f",PROXIED://{self.behind}"
            advertised += f",PROXIED://127.0.0.1:{self._proxy_port}"
        lines = [
            (HERE / "server.properties").read_text(),
            f"listeners={listeners}",
            f"advertised.listeners={advertised}",
            f"controller.quorum.bootstrap.servers=127.0.0.1:{controller}",
            f"log.dirs={self._folder / 'log'}",
        ]
        (self._folder / "server.properties").write_text("\n".join(lines))

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        settings = str(self._folder / "server.properties")
        words = ("format", "--standalone", f"--cluster-id={cluster}", "--config", settings)
        child = self._run("kafka.tools.StorageTool", *words)
        code = child.wait(READY_S)
        said = child.log(2_000)
        child.kill()
        if code:
            raise RuntimeError(f"Kafka's storage cannot be made: {said}")

    def _run(self, main: str, *words: str) -> Child:
        return Child([self._java, *_JAVA_OPTIONS, "-cp", f"{self._libs}/*", main, *words])


def _wait(child: Child, bootstrap: str) -> str:
    """Until the broker knows itself; what went wrong, or nothing."""
    host, port = bootstrap.split(":")
    end = time.monotonic() + READY_S
    while child.running and time.monotonic() < end:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            if (
                AdminClient(_CLIENT | {"bootstrap.servers": bootstrap})
                .list_topics(timeout=5)
                .brokers
            ):
                return ""
        except (OSError, KafkaException):
            time.sleep(0.1)
    return "it has ended" if not child.running else f"no answer in {READY_S:.0f} s"


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"no {name} on PATH")
    return path


def _pom() -> bytes:
    return (HERE / "pom.xml").read_bytes()


def _copy_jars(maven: str, folder: Path) -> None:
    (folder / "pom.xml").write_bytes(_pom())  # Maven writes beside it
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs"]
    try:
        subprocess.run(
            [maven, "--quiet", "--batch-mode", *goal],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=FETCH_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as e:
        raise Unavailable(f"Maven cannot fetch Kafka: {e.stdout[-2_000:]}{e.stderr}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"Maven did not fetch Kafka in {FETCH_S:.0f} s") from None


if __name__ == "__main__":
    print(fetch())
