"""A partition in a Redis, and a process that may die at any step: what the store's tests share."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from agents.store import (
    Changes,
    Limits,
    OutMessage,
    Partition,
    Prepared,
    Store,
    nothing,
)

SMALL = Limits(chunk_bytes=64, chunk_ops=2, request_bytes=100, fill=2, outbox_bodies=3)
Scenario = Callable[["World"], Awaitable[None]]


class Crashed(Exception):
    """Stands for the death of a process."""


class World:
    """One server, and a hook that a scenario may set."""

    def __init__(self, client: Redis, texts: dict[str, str] | None = None) -> None:
        self.client = client
        self.hook: Callable[[str], None] = nothing
        self.prefix = secrets.token_hex(4)
        self.store = Store(client, self.prefix, SMALL, self._step, texts)

    def _step(self, step: str) -> None:
        self.hook(step)

    def partition(self) -> Partition:
        return self.store.partition("ledger", 3)

    async def owner(self) -> Partition:
        partition = self.partition()
        await partition.claim()
        return partition

    def crash(self, at: str, hit: int = 1) -> None:
        """Raise Crashed at the hit-th time that a step is reached."""
        left = hit

        def hook(step: str) -> None:
            nonlocal left
            left -= step == at
            if step == at and left == 0:
                self.hook = nothing
                raise Crashed(step)

        self.hook = hook

    async def keys(self) -> set[str]:
        start = f"{self.prefix}:{{ledger:3}}:"
        found: list[bytes] = await self.client.keys(f"{start}*")  # type: ignore[assignment]
        return {key.decode().removeprefix(start) for key in found}


def changes(word: str, messages: int = 3) -> Changes:
    """Changes that make several chunks of every kind; the pending hashes lie in two buckets."""
    value = word.encode()
    return Changes(
        puts={f"field-{i}": value * 10 for i in range(5)} | {word: value},
        pending_puts={i << 61: value for i in range(5)} | {2**64 - 1: value},
        outbox=[OutMessage("t", b"k", b"%s-%d" % (value, i)) for i in range(messages)],
    )


async def commit(partition: Partition, some: Changes, next: int | None = None) -> Prepared:
    prepared = partition.prepare(some, next, "identity")
    await partition.checkpoint(prepared)
    return prepared


async def pending(partition: Partition, enough: int = 3) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    cursor = 0
    while True:
        cursor, some = await partition.scan_pending(cursor, enough=enough)
        found |= some
        if cursor == 0:
            return found


Play = Callable[..., None]
"""`play_on` with the server's socket: that of the fixture `play`."""


def play_on(socket: str, scenario: Scenario, texts: dict[str, str] | None = None) -> None:
    """Run a scenario against the server of a socket."""

    async def main() -> None:
        async with Redis(unix_socket_path=socket) as client:
            await scenario(World(client, texts))

    asyncio.run(main())
