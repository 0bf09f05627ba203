"""One partition's state in Redis: claimed by an epoch, changed by checkpoints, read by its owner.

A checkpoint is staged in chunks under the partition's hash tag; one small script checks owner and
seq, makes the staged record the current one, appends to the outbox and stores the position; then
the record is applied and removed. Whoever claims the partition first finishes a record that was
committed but not applied. See design, section 3.

The caller holds one lock a partition: no two coroutines may use one Partition at once, except for
`outbox` and `remove`, which may run beside a checkpoint.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from redis.asyncio import Redis

from agents.store.answers import Claim, Damaged, Refused, accepted
from agents.store.changes import (
    Changes,
    Limits,
    OutMessage,
    Prepared,
    bodies_of,
    redo_of,
)
from agents.store.claims import Stamp
from agents.store.envelopes import opened, sealed, sealed_body
from agents.store.filters import Known
from agents.store.outboxes import Outbox
from agents.store.pending import entries_of, found_of, hashes_of
from agents.store.scripts import Call, Scripts, by_size, slices
from stream.columns import Hashes

T = TypeVar("T")
Confirm = Callable[[], Awaitable[None]]
Asks = Callable[[Hashes], Hashes]
TOGETHER = 2
"""Scripts in one pipeline. Redis runs what one client has sent before it looks at the others."""


class Partition:
    """The keys of one partition of one stage, and this process's hold on them."""

    def __init__(
        self, client: Redis, scripts: Scripts, prefix: str, name: str, limits: Limits
    ) -> None:
        self.name = name
        self.seq = 0
        self.pending_count = 0
        self._client = client
        self._scripts = scripts
        self._limits = limits
        self._tag = f"{prefix}:{{{name}}}"
        self._owner = ""
        self._outbox = Outbox(client, scripts, name, self.key, limits)
        self._known: Known | None = None  # of its owner alone

    @property
    def _bucket(self) -> str:
        """How the keys of pending buckets begin; their number follows."""
        return self.key("pending", "b")

    def key(self, *parts: str) -> str:
        """The Redis key of a part: meta, state, staged, claims, outbox, redo ID, out ID, pending
        bBUCKET.
        """
        return ":".join((self._tag, *parts))

    async def claim(self) -> Claim:
        """Take over under a new epoch, finish what was committed, sweep what never will be."""
        values = (secrets.token_hex(8), self._limits.orphans, self._limits.claims)
        keys = (self.key("meta"), self.key("staged"), self.key("claims"))
        self._owner = ""  # so that a claim that fails half-way leaves nothing to write with
        self._known = None
        reply = await self._scripts.run("claim", (keys, values))
        owner, epoch, seq, next_, topic_id, redo, chunks, *rest = reply
        pending, buckets, head, tail, orphans = rest
        self.seq = int(seq or 0)
        self.pending_count = int(pending or 0)
        self._outbox.found(int(head or 0), int(tail or 0))
        if buckets is not None:
            await self._migrate()
        if redo is not None:
            await self._finish(redo.decode(), int(chunks))
        await self._sweep(owner, orphans)
        self._owner = owner.decode()
        self._known = Known(self.pending_count, self._limits.filter_bytes)
        return Claim(
            epoch=int(epoch),
            seq=self.seq,
            next=None if next_ is None else int(next_),
            topic_id=topic_id.decode() if topic_id else None,
            pending=self.pending_count,
            backlog=self.backlog,
            recovered=redo is not None,
        )

    # Reading

    async def load(self, pattern: str = "*", damaged: list[str] | None = None) -> dict[str, bytes]:
        """The fields of the state whose names match a glob pattern.

        damaged: what is wrong with fields that are left out is noted there; without it, the first
        one is an error. Raises Refused("epoch"), Damaged.
        """
        found: dict[str, bytes] = {}
        cursor = 0
        while True:
            reply: Any = self._client.hscan(self.key("state"), cursor, match=pattern, count=32)
            cursor, fields = await reply
            for name, value in fields.items():
                field = name.decode("utf-8", "replace")
                try:
                    found[field] = opened(self.name, field, value)
                except Damaged as error:
                    if damaged is None:
                        raise
                    damaged.append(str(error))
            if cursor == 0:
                break
        await self._check_owner()
        return found

    async def _check_owner(self) -> None:
        """Raises Refused where somebody else owns it now: what was read may be half theirs."""
        if self._owner:
            reply: Any = self._client.hget(self.key("meta"), "owner")
            if await reply != self._owner.encode():
                raise Refused("epoch", self.name)

    async def get_many(self, fields: Sequence[str]) -> list[bytes | None]:
        """The values of some fields of the state; None where there is none. Raises Damaged."""
        found: list[bytes | None] = []
        for some in slices(fields, self._limits.lookups):
            reply: Any = self._client.hmget(self.key("state"), list(some))
            found.extend(
                None if raw is None else opened(self.name, field, raw)
                for field, raw in zip(some, await reply, strict=True)
            )
        return found

    async def pending(self, hashes: Hashes, asks: Asks = np.unique) -> dict[int, bytes]:
        """The pending entries of those ids that have one. hashes: shape (n,), uint64.

        Of ids that surely have none Redis is not asked. asks: which of the others it is to be asked
        for. Raises Refused("epoch").
        """
        asked = np.asarray(hashes, dtype=np.uint64)
        if self._known is not None:
            if self._known.reading():
                await self._read_ids(self._known, len(asked))
            asked = self._known.asked(asked)
        asked = asks(asked)
        packed = asked.astype(">u8").tobytes()
        keys = (self.key("meta"), self._bucket)
        size = 8 * self._limits.lookups
        parts = (packed[i : i + size] for i in range(0, len(packed), size))
        calls: list[Call] = [(keys, (part, self._owner)) for part in parts]
        blobs: list[bytes | None] = []
        if calls:
            blobs = await self._scripts.run_all("pending", calls, TOGETHER)
        return found_of(asked.tolist(), [self._mine(blob) for blob in blobs])

    async def _read_ids(self, known: Known, enough: int) -> None:
        """Look at about as many of the ids in Redis as are asked for now."""
        keys, left = (self.key("meta"), self._bucket), enough
        while known.reading() and left > 0:
            values = (known.bucket, 256, min(left, 4 * self._limits.lookups), self._owner)
            after, buckets, blob = self._mine(await self._scripts.run("ids", (keys, values)))
            known.seen(hashes_of(blob), int(after), int(buckets))
            left -= max(1, len(blob) // 8)

    def _mine(self, reply: T | None) -> T:
        """Raises Refused where a script found another owner."""
        if reply is None:
            raise Refused("epoch", self.name)
        return reply

    async def scan_pending(
        self, cursor: int = 0, enough: int = 500
    ) -> tuple[int, dict[int, bytes]]:
        """Some whole buckets from `cursor` on: (next cursor, 0 after the last bucket; entries).

        Raises Refused("epoch").
        """
        values = (cursor, 256, enough, self._limits.scan_bytes, self._owner)
        call = ((self.key("meta"), self._bucket), values)
        after, blob = self._mine(await self._scripts.run("scan", call))
        return after, entries_of(blob)

    # Writing

    def prepare(self, changes: Changes, next: int | None, topic_id: str | None) -> Prepared:
        """An attempt at the next checkpoint. None leaves next or topic_id as it is.

        Raises TooLarge, ValueError. `next` is a position in the log, not the last record + 1.
        """
        if self._known is not None and changes.pending_puts:
            puts = changes.pending_puts
            self._known.put(np.fromiter(puts, np.uint64, len(puts)), self.pending_count)
        attempt = f"{self.seq + 1}-{secrets.token_hex(8)}"
        bodies, counts = bodies_of(changes.outbox, self._limits)
        bodies = tuple(sealed_body(self.name, attempt, i, body) for i, body in enumerate(bodies))
        return Prepared(
            id=attempt,
            owner=self._owner,
            seq=self.seq + 1,
            next=next,
            topic_id=topic_id or "",
            redo=redo_of(sealed(self.name, changes), self._limits),
            bodies=bodies,
            counts=counts,
        )

    @property
    def stamp(self) -> Stamp:
        """The next checkpoint, for what is to be published with it."""
        return Stamp(self.name, self.seq + 1, self._owner)

    async def verify(self) -> None:
        """Raises Refused where Redis does not hold what this process wrote last."""
        reply: Any = self._client.hmget(self.key("meta"), ["owner", "seq", "redo"])
        owner, seq, redo = await reply
        if owner != self._owner.encode():
            raise Refused("epoch", self.name)
        if int(seq or 0) != self.seq:
            raise Refused("seq", self.name)
        if redo is not None:
            raise Refused("redo", self.name)

    async def checkpoint(self, prepared: Prepared, confirm: Confirm | None = None) -> None:
        """Commit and apply. Returns when the state in Redis is that of the attempt.

        confirm: called between staging and committing; it raises where the attempt must not be
        committed. Once it returns, a Redis that is rolled back behind what it saw has lost the
        staged chunks as well, and the commit fails.

        Raises Refused, or one of OUTAGES when the outcome is not known: call it again with the
        same object, which recognises that an earlier try has won.
        """
        await self._stage(prepared)
        if confirm is not None:
            await confirm()
        await self._commit(prepared)
        if prepared.redo:
            orphans = await self._finish(prepared.id, len(prepared.redo))
            await self._sweep(prepared.owner, orphans)
        self.seq = prepared.seq

    async def _stage(self, prepared: Prepared) -> None:
        for some in by_size(self._staging(prepared), self._limits.request_bytes):
            for reply in await self._scripts.run_all("stage", some):
                accepted(reply, self.name)

    def _staging(self, prepared: Prepared) -> Iterator[Call]:
        before = str(prepared.seq - 1)
        for kind, chunks in (("redo", prepared.redo), ("out", prepared.bodies)):
            keys = (self.key("meta"), self.key("staged"), self.key(kind, prepared.id))
            for number, chunk in enumerate(chunks):
                yield keys, (prepared.owner, before, prepared.id, number, chunk)

    async def _commit(self, prepared: Prepared) -> None:
        redo, out = self.key("redo", prepared.id), self.key("out", prepared.id)
        keys = (self.key("meta"), self.key("staged"), redo, out, self.key("outbox"))
        position = "" if prepared.next is None else prepared.next
        numbers = (prepared.owner, prepared.seq - 1, prepared.seq, prepared.id)
        values = (*numbers, position, prepared.topic_id, len(prepared.redo), *prepared.counts)
        reply, tail = await self._scripts.run("commit", (keys, values))
        accepted(reply, self.name)
        self._outbox.grown(int(tail))

    async def _finish(self, record: str, chunks: int) -> list[bytes]:
        """Apply a committed record and remove it; nothing happens where somebody else has.

        Returns ids of attempts that were staged and will never be committed.
        """
        redo = self.key("redo", record)
        keys = (self.key("meta"), redo, self.key("state"), self._bucket)
        numbers = (self._limits.fill, self._limits.steps)
        calls: list[Call] = [(keys, (record, number, *numbers)) for number in range(chunks)]
        call = (self.key("meta"), redo, self.key("staged")), (record, self._limits.orphans)
        for _ in range(2):  # a Redis that is rolled back in between has them all again
            await self._scripts.run_all("apply", calls, TOGETHER)
            reply, pending, orphans = await self._scripts.run("finish", call)
            if reply != b"unapplied":
                self.pending_count = int(pending)
                return list(orphans)
        raise Damaged(f"{self.name}: redo record {record} has chunks that nobody knows")

    async def _migrate(self) -> None:
        """Take over pending entries from buckets whose number was fixed."""
        keys = (self.key("meta"), self._bucket, self.key("pending", ""))
        after = 0
        while True:
            call = (keys, (after, self._limits.fill))
            after = await self._scripts.run("migrate", call)
            if after == 0:
                return

    async def _sweep(self, owner: str | bytes, orphans: list[bytes]) -> None:
        if not orphans:
            return
        keys = (self.key("meta"), self.key("staged"))
        calls: list[Call] = []
        for name in (orphan.decode() for orphan in orphans):
            chunks = (self.key("redo", name), self.key("out", name))
            calls.append(((*keys, *chunks), (owner, name)))
        await self._scripts.run_all("sweep", calls)

    # The outbox, see agents.store.outboxes

    @property
    def backlog(self) -> int:
        """Messages that are to be published."""
        return self._outbox.backlog

    async def outbox(self, limit: int = 1000) -> list[tuple[int, OutMessage]]:
        """The first messages with their positions, in order. Raises Refused("epoch")."""
        return await self._outbox.first(self._owner, limit)

    async def remove(self, refs: Sequence[int]) -> None:
        """Remove published messages: a run of positions from the head on; again is harmless.

        Raises Refused("epoch"), and Refused("order") where the run would leave a hole.
        """
        await self._outbox.remove(self._owner, refs)
