"""Settings: a TOML file and the environment, checked once at start, as frozen objects.

`DRIFTLINE__KAFKA__BROKERS=a:9092,b:9092` overrides `brokers` of `[kafka]`. What is wrong is said in
one `BadSettings`: the key, its value and what is allowed. Secrets are never shown.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from agents import complaints
from agents.complaints import BadSettings
from agents.models import ModelTable, merged
from agents.security import KafkaSecurity, RedisSecurity
from agents.values import Duration, Positive, Table, Words, words
from stream.detectors import Detector
from stream.events import Limits
from stream.settings import ModelSettings

__all__ = ["STAGES", "TOPICS", "BadSettings", "Settings", "Stage", "load"]

Stage = Literal["intake", "ledger", "watch"]
STAGES: tuple[Stage, ...] = ("intake", "ledger", "watch")
PREFIX = "DRIFTLINE__"
TOPICS = (
    "predictions",
    "ground-truth",
    "control",
    "events",
    "signals",
    "alerts",
    "retrain-requests",
    "evaluations",
    "dead-letters",
)


class Kafka(Table):
    """Where Kafka is, and how this worker takes part in its group."""

    brokers: Annotated[Words, Field(min_length=1)] = ("127.0.0.1:9092",)
    """Addresses to begin with; text with commas, or a list."""
    group_id: Annotated[str, Field(min_length=1, max_length=200)] = "driftline"
    """Consumer group; workers of one group share the work."""
    session_timeout_s: Positive = 10.0
    """Silence after which the group takes a worker for dead."""
    heartbeat_s: Positive = 2.0
    """Time between two signs of life."""
    commit_s: Positive = 1.0
    """Time between two commits of offsets."""
    request_timeout_s: Annotated[Duration, Field(ge=3)] = 30.0
    """How long one request to Kafka may take; a connection silent for longer is given up."""
    security: KafkaSecurity = KafkaSecurity()
    """TLS, client certificate and SASL user."""

    @pydantic.field_validator("brokers")
    @classmethod
    def _addresses(cls, brokers: tuple[str, ...]) -> tuple[str, ...]:
        for broker in brokers:
            if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/]+):\d{1,5}", broker):
                raise ValueError('must be addresses such as "kafka-1:9092"')
        return brokers

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.request_timeout_s < self.session_timeout_s:
            raise ValueError("request_timeout_s must be at least session_timeout_s")
        return self


class Redis(Table):
    """Where the state is kept. The address may hold a password, so it is a secret."""

    url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Address, user, password and database: redis://, rediss:// (TLS) or unix://. A secret."""
    key_prefix: Annotated[str, Field(pattern=r"^[^{}\s]{1,100}$")] = "driftline"
    """What all keys begin with."""
    timeout_s: Annotated[Duration, Field(ge=0.1)] = 5.0
    """How long one answer of Redis, or a connection to it, may take; then it is tried again."""
    security: RedisSecurity = RedisSecurity()
    """ACL user, authority and client certificate; TLS is an address with rediss://."""

    @pydantic.field_validator("url")
    @classmethod
    def _scheme(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return url

    @pydantic.model_validator(mode="after")
    def _encrypted(self) -> Self:
        self.security.check(self.url.get_secret_value())
        return self


class Topics(Table):
    """The names of the topics, and how they are made where they are missing."""

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "driftline"
    """What the names of all topics begin with: PREFIX.predictions and so on."""
    create: bool = True
    """Whether a worker makes topics that are missing."""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Partitions of each topic that is made."""
    replication_factor: Annotated[int, Field(ge=1, le=100)] = 1
    """Copies of each partition that is made."""

    def name(self, topic: str) -> str:
        """The full name of one of TOPICS."""
        assert topic in TOPICS, topic
        return f"{self.prefix}.{topic}"


class Worker(Table):
    """What this process runs, and how often it makes its work durable."""

    stages: Annotated[tuple[Stage, ...], BeforeValidator(words), Field(min_length=1)] = STAGES
    """What this process runs."""
    checkpoint_s: Positive = 1.0
    """Time between two checkpoints."""
    shutdown_s: Positive = 20.0
    """How long an orderly end may take."""
    max_chunk_records: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    """Records that are worked on at once."""
    max_buffer_bytes: Annotated[int, Field(ge=2**20)] = 64 * 2**20
    """Memory for records that were fetched and not yet worked on."""
    max_unsaved_bytes: Annotated[int, Field(ge=1)] = 32 * 2**20
    """Bytes of records of one partition after which a checkpoint does not wait for its time."""


class Http(Table):
    """Where the worker answers about itself; port 0 is nowhere."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address it listens on; only this machine can reach the default."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 6060
    """The port; 0: none."""


class Intake(Table):
    """What is done with an event of a model that nobody registered."""

    unknown_models: Literal["register", "refuse"] = "register"
    """register: they are watched with the defaults; refuse: they are dead letters."""


class Bounds(Table):
    """Limits on one event, and on how many models there may be."""

    max_bytes: Annotated[int, Field(ge=100)] = 1_000_000
    """Bytes of one record's value."""
    max_features: Annotated[int, Field(ge=1)] = 2_000
    """Features of one prediction; each element of a vector is one."""
    max_ahead_s: Annotated[Duration, Field(ge=0)] = 3_600.0
    """How far an event's time may be ahead of its record's."""
    max_name_chars: Annotated[int, Field(ge=1)] = 256
    """Characters of an id, a model, a version, a name."""
    max_vector: Annotated[int, Field(ge=1)] = 1_024
    """Elements of one vector feature."""
    max_segments: Annotated[int, Field(ge=1)] = 64
    """Segments of one prediction."""
    max_models: Annotated[int, Field(ge=1)] = 10_000
    """Models that may be known at once."""

    def decoding(self) -> Limits:
        """Those that decoding keeps."""
        return Limits(
            max_bytes=self.max_bytes,
            max_features=self.max_features,
            max_vector=self.max_vector,
            max_segments=self.max_segments,
            max_name_chars=self.max_name_chars,
            max_ahead_ms=int(self.max_ahead_s * 1_000),
        )


class Settings(BaseSettings):
    """All of it. `model(name)` answers for one model: its own table over `[defaults]`."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,
        hide_input_in_errors=True,
    )

    kafka: Kafka = Kafka()
    redis: Redis = Redis()
    topics: Topics = Topics()
    worker: Worker = Worker()
    http: Http = Http()
    intake: Intake = Intake()
    limits: Bounds = Bounds()
    defaults: ModelTable = ModelTable()
    models: dict[str, ModelTable] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file, whose tables come as keyword arguments."""
        return env_settings, init_settings

    def model(self, name: str) -> ModelSettings:
        """How a model is watched; one without a table of its own has the defaults."""
        own = self.models.get(name)
        return merged(self.defaults, own) if own else merged(self.defaults)


def load(path: Path | None) -> Settings:
    """The settings of a file (none: only the environment). Raises BadSettings."""
    tables = {} if path is None else _read(path)
    where = "settings" if path is None else str(path)
    complaints.check_environment(PREFIX, tuple(Settings.model_fields))
    try:
        settings = Settings(**tables)
    except pydantic.ValidationError as error:
        raise BadSettings(complaints.explain(error, Settings, where)) from None
    _check_models(settings, where)
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadSettings(f"{path}: there is no such file") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path}: not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: cannot be read: {error}") from None


def _check_models(settings: Settings, where: str) -> None:
    """What can only be said of a model's whole settings, defaults and all. Raises BadSettings."""
    found = {"defaults": (settings.defaults,)}
    own = {f"models.{name}": (settings.defaults, table) for name, table in settings.models.items()}
    for section, tables in (found | own).items():
        try:
            model = merged(*tables)
        except ValueError as error:
            raise BadSettings(f"{where}: {section}.{error}") from None
        for number, detector in enumerate(model.detectors):
            try:
                Detector(detector, 0, model.task)
            except ValueError as error:
                raise BadSettings(f"{where}: {section}.detectors.{number}: {error}") from None
