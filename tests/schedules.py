"""Workers that may die or stall at any step, and the oracle that counts what was committed."""

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from redis.asyncio import Redis

from agents.store import (
    Changes,
    Limits,
    OutMessage,
    Prepared,
    Store,
    nothing,
)

T = TypeVar("T")
LIMITS = Limits(chunk_bytes=40, chunk_ops=2, request_bytes=60, fill=1, outbox_bodies=2)


@dataclasses.dataclass
class Oracle:
    """What Redis should hold. `owner` is the worker whose claim came last, and which claim."""

    owner: tuple[str, int] = ("", 0)
    claims: int = 0
    log: list[Prepared] = dataclasses.field(default_factory=list)
    changes: dict[str, Changes] = dataclasses.field(default_factory=dict)
    bases: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
    head: int = 0

    def acceptable(self, attempt: Prepared) -> bool:
        """Whether the attempt's owner still is it, and its number is free or already its own."""
        again = self.log[-1:] == [attempt]
        return self.bases[attempt.id] == self.owner and (again or attempt.seq == len(self.log) + 1)

    def commit(self, attempt: Prepared) -> None:
        if self.acceptable(attempt) and attempt not in self.log:
            self.log.append(attempt)

    def state(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for some in self._committed():
            found |= some.puts
            found = {k: v for k, v in found.items() if k not in some.deletes}
        return found

    def pending(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for some in self._committed():
            found |= some.pending_puts
            found = {k: v for k, v in found.items() if k not in some.pending_deletes}
        return found

    def outbox(self) -> list[OutMessage]:
        return [message for some in self._committed() for message in some.outbox]

    def _committed(self) -> Iterator[Changes]:
        return (self.changes[prepared.id] for prepared in self.log)


class Worker:
    """A process with its own loop, connection and memory; it may die or stall at any step."""

    def __init__(self, name: str, socket: str, prefix: str, texts: dict[str, str]) -> None:
        self.name = name
        self.runner = asyncio.Runner()
        self.client = Redis(unix_socket_path=socket)
        store = Store(self.client, prefix, LIMITS, self._step, texts)
        self.partition = store.partition("watch", 0)
        self.hook: Callable[[str], None] = nothing
        self.attempts: list[Prepared] = []
        self.attempt: Prepared | None = None
        self.claiming = self.claimed = -1
        self.noticed = True  # that it has to claim (again)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def _step(self, step: str) -> None:
        self.hook(step)

    def close(self) -> None:
        self.run(self.client.aclose())
        self.runner.close()


async def keys_of(judge: Worker) -> list[bytes]:
    found: Any = await judge.client.keys(judge.partition.key("*"))
    return list(found)


async def whole_outbox(judge: Worker) -> list[OutMessage]:
    found: list[OutMessage] = []
    while some := await judge.partition.outbox(3):
        found += [message for _, message in some]
        await judge.partition.remove([ref for ref, _ in some])
    return found
