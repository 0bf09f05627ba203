"""Security: one set of settings for every client of Kafka and of Redis.

Faust's client takes credentials with an SSL context, confluent's takes properties, Redis takes
keyword arguments: all three are made here, and nowhere else. A password comes from the environment
or from a file, is read when a client is made, and never leaves unencrypted.
"""

import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import confluent_kafka as ck
import pydantic
from pydantic import BaseModel, ConfigDict, SecretStr

LOOPBACK = frozenset({"", "127.0.0.1", "::1", "localhost"})
MAX_SECRET_BYTES = 64 * 1024
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
REFUSED = frozenset(
    {
        ck.KafkaError._AUTHENTICATION,
        ck.KafkaError._SSL,
        ck.KafkaError._UNSUPPORTED_FEATURE,
        ck.KafkaError.SASL_AUTHENTICATION_FAILED,
        ck.KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)
ADVICE = "Look at [kafka.security]: tls, ca_file, username, password_file, mechanism."
FILES = ("ca_file", "certificate_file", "key_file", "key_password", "key_password_file")


class Security(BaseModel):
    """Who we are, whom we trust. Without `ca_file` the system's authorities are trusted."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    username: str | None = None
    """Name of the SASL or ACL user."""
    password: SecretStr | None = None
    """Its password; better in the environment or in `password_file` than in a settings file."""
    password_file: Path | None = None
    """File that holds the password alone."""
    ca_file: Path | None = None
    """Authorities to trust, PEM; without it the system's."""
    certificate_file: Path | None = None
    """Our own certificate and its chain, PEM, for mutual TLS."""
    key_file: Path | None = None
    """The certificate's key, PEM."""
    key_password: SecretStr | None = None
    """What the key is encrypted with."""
    key_password_file: Path | None = None
    """File that holds the key's password alone."""

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        """Everything is tried now: a wrong path or key is found at start, not at the first use."""
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        if self.username is not None and self.secret() is None:
            raise ValueError("username needs a password or a password_file")
        self.secret()
        self.context()
        return self

    def given(self, *keys: str) -> list[str]:
        """Those of these keys that are set."""
        return [key for key in keys if getattr(self, key) is not None]

    def secret(self) -> str | None:
        """The user's password. Raises ValueError where it cannot be read."""
        return _secret("password", self.password, self.password_file)

    def key_secret(self) -> str | None:
        """What the client's key is encrypted with. Raises ValueError where it cannot be read."""
        return _secret("key_password", self.key_password, self.key_password_file)

    def context(self) -> ssl.SSLContext:
        """A context that checks the server's certificate and its name. Raises ValueError."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ValueError(f"ca_file {self.ca_file}: {_reason(error)}") from None
        if self.certificate_file is not None:
            # Without an answer OpenSSL would ask the terminal.
            secret = self.key_secret() or ""
            try:
                context.load_cert_chain(self.certificate_file, self.key_file, lambda: secret)
            except OSError as error:
                pair = f"certificate_file {self.certificate_file}, key_file {self.key_file}"
                raise ValueError(f"{pair}: {_reason(error)}") from None
        return context


class KafkaSecurity(Security):
    """`[kafka.security]`: TLS, a client certificate, a SASL user; any of them needs `tls`."""

    tls: bool = False
    """Whether connections are encrypted; a user or a file needs it."""
    mechanism: Mechanism = "SCRAM-SHA-512"
    """How the user proves to know the password."""

    @pydantic.model_validator(mode="after")
    def _encrypted(self) -> Self:
        if self.username is None and (
            "mechanism" in self.model_fields_set or self.given("password", "password_file")
        ):
            raise ValueError("a mechanism or a password needs a username")
        if self.username is not None and not self.tls:
            raise ValueError(
                "a user needs tls = true: its password is never sent over a plain connection"
            )
        if not self.tls and (found := self.given(*FILES)):
            raise ValueError(f"{found[0]} needs tls = true")
        return self

    @property
    def protocol(self) -> str:
        """Kafka's name for it."""
        transport = "SSL" if self.tls else "PLAINTEXT"
        return transport if self.username is None else f"SASL_{transport}"


class RedisSecurity(Security):
    """`[redis.security]`: a client certificate, an ACL user; TLS is the address's rediss://."""

    def check(self, url: str) -> None:
        """Raises ValueError where a password would leave this machine in plain text."""
        address = urllib.parse.urlsplit(url)
        if "ssl_" in address.query:
            raise ValueError("TLS is not told in the address: use the keys of [redis.security]")
        if address.scheme == "rediss":
            return
        if found := self.given(*FILES):
            raise ValueError(f"{found[0]} needs an address that begins with rediss://")
        password = address.password or self.given("password", "password_file")
        if password and address.scheme == "redis" and address.hostname not in LOOPBACK:
            raise ValueError(
                "a password needs an address that begins with rediss://: "
                "it is never sent to another machine over a plain connection"
            )


class Kafka(Protocol):
    """What is asked of the `[kafka]` table."""

    @property
    def brokers(self) -> tuple[str, ...]:
        """Addresses."""

    @property
    def request_timeout_s(self) -> float:
        """After which a silent connection is given up."""

    @property
    def security(self) -> KafkaSecurity:
        """The table within."""


class Redis(Protocol):
    """What is asked of the `[redis]` table."""

    @property
    def url(self) -> SecretStr:
        """The address."""

    @property
    def timeout_s(self) -> float:
        """After which a silent connection is given up."""

    @property
    def security(self) -> RedisSecurity:
        """The table within."""


def kafka_config(kafka: Kafka | Sequence[str]) -> dict[str, Any]:
    """Properties for confluent's clients. Addresses alone are those of an open Kafka.

    The result holds the password: it is for a client's constructor, and for nothing else.
    """
    if isinstance(kafka, Sequence):
        return {"bootstrap.servers": ",".join(kafka)}
    own = kafka.security
    found = {
        "bootstrap.servers": ",".join(kafka.brokers),
        "socket.timeout.ms": round(kafka.request_timeout_s * 1_000),
        "security.protocol": own.protocol,
        "sasl.mechanism": own.mechanism if own.username is not None else None,
        "sasl.username": own.username,
        "sasl.password": own.secret(),
        "ssl.ca.location": own.ca_file,
        "ssl.certificate.location": own.certificate_file,
        "ssl.key.location": own.key_file,
        "ssl.key.password": own.key_secret(),
    }
    return {key: str(value) for key, value in found.items() if value is not None}


def faust_credentials(kafka: Kafka) -> Any:
    """Credentials for Faust's client; None for an open Kafka.

    A user always has an SSL context: without one Faust would quietly choose SASL_PLAINTEXT.
    """
    import faust  # noqa: PLC0415 - takes a second, and not every command needs it

    own = kafka.security
    if not own.tls:
        assert own.username is None
        return None
    if own.username is None:
        return faust.SSLCredentials(own.context())
    return faust.SASLCredentials(
        username=own.username,
        password=own.secret(),
        ssl_context=own.context(),
        mechanism=own.mechanism,
    )


def never_plain(config: Mapping[str, Any]) -> None:
    """For properties that come from elsewhere. Raises ValueError on a user without TLS."""
    user = any(key.startswith("sasl.") for key in config)
    told = str(config.get("security.protocol", "plaintext")).upper()
    if (user or told.startswith("SASL")) and told != "SASL_SSL":
        raise ValueError(
            f"security.protocol is {told}, a user needs SASL_SSL: "
            "its password is never sent over a plain connection"
        )


class Troubles:
    """What a confluent client says about its connections, for the text of an error."""

    def __init__(self) -> None:
        self.refused = ""  # trying again cannot help
        self._last = ""

    def hear(self, error: ck.KafkaError) -> None:
        """For `error_cb`."""
        if error.code() in REFUSED or "alert" in error.str():
            self.refused = error.str()
        elif error.code() != ck.KafkaError._ALL_BROKERS_DOWN:
            self._last = error.str()

    def words(self, error: ck.KafkaException) -> str:
        """The error, with the reason where the client told one, and what to look at."""
        if self.refused:
            return f"Kafka cannot be used with these credentials: {self.refused}. {ADVICE}"
        told = f" ({self._last}). {ADVICE}" if "listener" in self._last else ""
        return f"Kafka does not answer: {error.args[0].str()}{told}"


def redis_config(redis: Redis) -> dict[str, Any]:
    """Keyword arguments for `agents.store.connect`; they hold the password, as above."""
    url, own = redis.url.get_secret_value(), redis.security
    found: dict[str, Any] = {"username": own.username, "password": own.secret()}
    found["timeout_s"] = redis.timeout_s
    if url.startswith("rediss:"):
        found |= {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": own.ca_file,
            "ssl_certfile": own.certificate_file,
            "ssl_keyfile": own.key_file,
            "ssl_password": own.key_secret(),
        }
    texts = {key: str(x) if isinstance(x, Path) else x for key, x in found.items()}
    return {"url": url} | {key: value for key, value in texts.items() if value is not None}


def _secret(name: str, given: SecretStr | None, path: Path | None) -> str | None:
    if given is not None and path is not None:
        raise ValueError(f"either {name} or {name}_file, not both")
    if path is None:
        found = None if given is None else given.get_secret_value()
    else:
        found = _read(f"{name}_file", path)
    if found == "":
        raise ValueError(f"{name} is empty")
    return found


def _read(name: str, path: Path) -> str:
    """A file's only line. What is in it is never part of an error."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES)
        return raw.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{name} {path}: {_reason(error)}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} {path}: not UTF-8 text") from None


def _reason(error: OSError) -> str:
    """In words: what the system says; OpenSSL itself hardly says anything."""
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key belongs to another certificate"
    return "not usable PEM, or its key_password is missing or wrong"
