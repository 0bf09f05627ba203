"""The context: what all stages of one worker share."""

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import TypeVar

from agents.beside import Beside
from agents.chunks import TP
from agents.counters import Counters
from agents.producers import Producer
from agents.settings import Settings
from agents.store import Damaged, Hook, Store, nothing
from agents.store.envelopes import ADVICE
from agents.waiting import Outage, until_redis_answers
from stream.changes import OutMessage
from stream.hashes import id_hash
from stream.references import Reference
from stream.settings import ModelSettings

Answer = TypeVar("Answer")


def _nothing(*_: object) -> None:
    """Until the app is there."""


def _always(_: TP) -> bool:
    """Until the app is there."""
    return True


async def _nowhere(_: Collection[TP]) -> Mapping[TP, int]:
    """Until the app is there."""
    return {}


async def _at_zero(_: TP) -> int:
    """Until the app is there."""
    return 0


@dataclasses.dataclass(slots=True)
class Context:
    """partitions: of every topic, by its full name. topic_ids: the same, "" where not known.

    ack: told of positions that are durable. lost: told of a partition that somebody else claimed.
    committed: asks Kafka where it was told that partitions are to go on.
    log_start: asks Kafka for the first offset that it still has of a partition.
    ours: whether a partition is ours, and not about to be given back; any thread may ask.
    reach: told of every step, see `agents.crashes`.
    """

    settings: Settings
    store: Store
    producer: Producer
    counters: Counters
    partitions: Mapping[str, int]
    topic_ids: Mapping[str, str]
    ack: Callable[[tuple[str, int], int], None] = _nothing
    lost: Callable[[tuple[str, int]], None] = _nothing
    log_start: Callable[[TP], Awaitable[int]] = _at_zero
    committed: Callable[[Collection[TP]], Awaitable[Mapping[TP, int]]] = _nowhere
    ours: Callable[[TP], bool] = _always
    reach: Hook = nothing
    redis: Outage = dataclasses.field(default_factory=lambda: Outage("Redis"))
    beside: Beside = dataclasses.field(default_factory=Beside)
    references: dict[str, Reference] = dataclasses.field(default_factory=dict)
    models: dict[str, ModelSettings] = dataclasses.field(default_factory=dict)

    def topic(self, name: str) -> str:
        """A topic's full name."""
        return self.settings.topics.name(name)

    def model(self, name: str) -> ModelSettings:
        """How a model is watched."""
        if name not in self.models:
            self.models[name] = self.settings.model(name)
        return self.models[name]

    def place(self, message: OutMessage) -> int | None:
        """The partition of a message: that of its model on the signals; elsewhere Kafka decides."""
        if message.topic != "signals":
            return None
        return id_hash(message.key.decode(), "") % self.partitions[self.topic("signals")]

    async def reference(self, ref: str) -> Reference:
        """A reference by its id. Raises Damaged where Redis has none, or another one."""
        if ref not in self.references:
            raw = await self.wait("reference", lambda: self.store.get_reference(ref))
            if raw is None:
                raise Damaged(f"reference {ref} is not in Redis")
            self.references[ref] = await self.beside.brief(partial(_reference, ref, raw))
        return self.references[ref]

    async def shares(self, numbers: list[int], fields: list[str]) -> list[bytes | None]:
        """Field i of ledger partition i, for all i."""
        return await self.wait("watch", lambda: self.store.read_shares("ledger", numbers, fields))

    async def wait(self, stage: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of Redis, however long it is away."""
        return await until_redis_answers(call, self.counters.outages.labels(stage).inc, self.redis)


def _reference(ref: str, raw: bytes) -> Reference:
    try:
        found = Reference.from_bytes(raw)
    except ValueError as error:
        raise Damaged(f"reference {ref} in Redis is damaged: {error}. {ADVICE}") from error
    if found.id != ref:
        raise Damaged(f"what is called reference {ref} in Redis is {found.id}. {ADVICE}")
    return found
