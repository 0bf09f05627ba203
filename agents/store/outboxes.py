"""The outbox of a partition: messages that were committed, in order, until they are published."""

from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from agents.store.answers import Damaged, Refused, accepted
from agents.store.changes import Limits, OutMessage, messages_of
from agents.store.envelopes import opened_body
from agents.store.scripts import Scripts


class Outbox:
    """What Redis holds of it, and how much. Each message has a position, from 0 on.

    backlog: messages that are to be published. Its calls may run beside a checkpoint.
    """

    def __init__(
        self,
        client: Redis,
        scripts: Scripts,
        name: str,
        key: Callable[..., str],
        limits: Limits,
    ) -> None:
        self.name, self.key = name, key
        self.backlog = 0
        self._client, self._scripts, self._limits = client, scripts, limits
        self._tail = 0

    def found(self, head: int, tail: int) -> None:
        """A claim has told where it begins and ends."""
        self._tail = tail
        self.backlog = tail - head

    def grown(self, tail: int) -> None:
        """A commit has told where it ends now."""
        self.backlog += tail - self._tail
        self._tail = tail

    async def first(self, owner: str, limit: int) -> list[tuple[int, OutMessage]]:
        """The first messages with their positions, in order. Raises Refused("epoch")."""
        head, entries = await self._entries(owner)
        bodies = await self._bodies(entries)
        if None in bodies:  # somebody else's by now, or Redis was rolled back in between?
            head, entries = await self._entries(owner)
            bodies = await self._bodies(entries)
        found: list[tuple[int, OutMessage]] = []
        for entry, body in zip(entries, bodies, strict=True):
            if body is None:
                told = entry.decode()
                raise Damaged(f"{self.name}: the outbox names {told}, whose messages are gone")
            found.extend(enumerate(messages_of(body), int(entry.split(b" ", 1)[0])))
        return [(ref, message) for ref, message in found if ref >= head][:limit]

    async def _entries(self, owner: str) -> tuple[int, list[bytes]]:
        keys = (self.key("meta"), self.key("outbox"))
        call = (keys, (owner, self._limits.outbox_bodies))
        reply, head, entries = await self._scripts.run("outbox", call)
        accepted(reply, self.name)
        self.backlog = self._tail - int(head)
        return int(head), list(entries)

    async def _bodies(self, entries: list[bytes]) -> list[bytes | None]:
        parsed = [entry.decode().split(" ") for entry in entries]
        async with self._client.pipeline(transaction=False) as pipe:
            for _, _, record, number in parsed:
                pipe.hget(self.key("out", record), number)
            found: list[bytes | None] = await pipe.execute() if parsed else []
        return [
            None if raw is None else opened_body(self.name, record, int(number), raw)
            for (_, _, record, number), raw in zip(parsed, found, strict=True)
        ]

    async def remove(self, owner: str, refs: Sequence[int]) -> None:
        """Remove published messages: a run of positions from the head on; again is harmless.

        Raises Refused("epoch"), and Refused("order") where the run would leave a hole.
        """
        if not refs:
            return
        if list(refs) != list(range(refs[0], refs[0] + len(refs))):
            raise Refused("order", self.name)
        keys = (self.key("meta"), self.key("outbox"), self.key("out", ""))
        call = (keys, (owner, refs[0], refs[-1] + 1))
        reply, head = await self._scripts.run("remove", call)
        accepted(reply, self.name)
        self.backlog = self._tail - int(head)
