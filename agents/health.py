"""Health: what the process says about itself over HTTP, and what it takes to be ready.

The endpoint has threads of its own, so that it answers also while the event loop hangs. It asks
for no password and is bound to the loopback unless the settings say otherwise.
"""

import dataclasses
import http.server
import json
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

log = logging.getLogger(__name__)

HUNG_S = 30.0  # an event loop that has not turned for so long hangs
SLOW_CLIENT_S = 10.0
LOOPBACK = ("127.", "::1", "localhost")
JSON = "application/json"
ENDPOINTS = {
    "/healthz": "the process lives: 503 once its event loop has not turned for 30 s; restart it",
    "/readyz": "the worker works: 503 with the failed checks in `not_ready`, until all hold",
    "/metrics": "the counters below, in Prometheus' text format",
}
CHECKS = {
    "event_loop": "the event loop has turned within the last 30 s",
    "kafka": "a broker answers",
    "redis": "Redis answers",
    "group": "the consumer group has said which partitions are ours, if only that none is",
    "partitions": "each partition of ours is opened: claimed in Redis, loaded, placed in Kafka",
    "checkpoints": "nothing has waited longer for its checkpoint than 10 times `checkpoint_s`"
    " of [worker], and 30 s",
}
Answer = tuple[int, str, bytes]
STARTING = "not looked yet"


@dataclasses.dataclass(slots=True)
class Health:
    """What is known. Written by the event loop, read by the endpoint's threads.

    turned_s: when the loop turned last, on the clock. wrong: what does not hold, by CHECKS.
    """

    clock: Callable[[], float] = time.monotonic
    turned_s: float = 0.0
    wrong: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(list(CHECKS)[1:], STARTING)
    )

    def __post_init__(self) -> None:
        self.turn()

    def turn(self) -> None:
        """The event loop has turned."""
        self.turned_s = self.clock()

    def alive(self) -> dict[str, str]:
        """What keeps the process from being alive; nothing if it is."""
        silent_s = self.clock() - self.turned_s
        return {"event_loop": f"has not turned for {silent_s:.0f} s"} if silent_s > HUNG_S else {}

    def not_ready(self) -> dict[str, str]:
        """What keeps the worker from being ready; nothing if it is."""
        return self.alive() | dict(self.wrong)


def answers(
    health: Health, registry: CollectorRegistry, accept: str = ""
) -> dict[str, Callable[[], Answer]]:
    """What each of ENDPOINTS answers: status, content type, body. accept: formats of counters."""

    def counters() -> Answer:
        encode, kind = choose_encoder(accept)
        return 200, kind, encode(registry)

    return {
        "/healthz": lambda: _told("alive", "not_alive", health.alive()),
        "/readyz": lambda: _told("ready", "not_ready", health.not_ready()),
        "/metrics": counters,
    }


def _told(good: str, bad: str, wrong: Mapping[str, str]) -> Answer:
    body = {"status": bad, bad: dict(wrong)} if wrong else {"status": good}
    return 503 if wrong else 200, JSON, json.dumps(body).encode() + b"\n"


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """The endpoint: GET and HEAD of ENDPOINTS, one short answer a connection."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, health: Health, registry: CollectorRegistry) -> None:
        """Listens at once. Raises OSError."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, address = found[0][0], found[0][4]
        self.health, self.registry = health, registry
        super().__init__((str(address[0]), port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A client that went away is no news."""
        log.debug("endpoint: %s", client_address, exc_info=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = SLOW_CLIENT_S
    server_version, sys_version = "driftline", ""

    def do_GET(self) -> None:
        """Answer."""
        path = self.path.partition("?")[0]
        known = answers(self.server.health, self.server.registry, self.headers.get("Accept", ""))
        status, kind, body = known.get(path, _unknown)()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that the library calls

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds: nobody wants to read of each."""
        log.debug(format, *args)


def _unknown() -> Answer:
    return 404, JSON, json.dumps({"known": list(ENDPOINTS)}).encode() + b"\n"


def serve(host: str, port: int, health: Health, registry: CollectorRegistry) -> Callable[[], None]:
    """Answer on threads of their own; a function that ends it. Raises OSError."""
    if not host.startswith(LOOPBACK):
        log.warning("http.host = %s: whoever reaches this address may read the counters", host)
    server = Server(host, port, health, registry)
    thread = threading.Thread(target=server.serve_forever, name="endpoint", daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)

    return end
