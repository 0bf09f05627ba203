"""The store: partitions, what they share, and the check of Redis at start."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from agents.store.changes import Limits, TooLarge
from agents.store.claims import History, history_of
from agents.store.envelopes import opened
from agents.store.partitions import Partition
from agents.store.scripts import OUTAGES, Call, Hook, Scripts, nothing, sources

ADVICE = "Look at [redis]: is it running at `url`, does it want rediss:// or [redis.security]?"


def connect(url: str, timeout_s: float = 5.0, **security: Any) -> Redis:
    """A client as the store needs it: raw bytes, a bound on every wait, one quick second try.

    security: see `agents.security.redis_config`, which makes all of these arguments.

    redis-py's own default (ten tries with back-off) would keep a caller from noticing an outage
    for seconds; waiting is the caller's. A second try is safe: see `scripts`.
    """
    client: Redis = Redis.from_url(
        url,
        decode_responses=False,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),
        **security,
    )
    return client


class Unusable(Exception):
    """This Redis would lose state or waste memory; the message says which setting to change."""


class Store:
    """A Redis. `client` must not decode responses; `hook` is told of every step (see Scripts)."""

    def __init__(
        self,
        client: Redis,
        prefix: str = "driftline",
        limits: Limits | None = None,
        hook: Hook = nothing,
        texts: dict[str, str] | None = None,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._limits = limits or Limits()
        self._scripts = Scripts(client, texts or sources(), hook)

    def partition(self, stage: str, number: int) -> Partition:
        """A partition's state, not yet claimed."""
        return self._named(f"{stage}:{number}")

    def _named(self, name: str) -> Partition:
        return Partition(self._client, self._scripts, self._prefix, name, self._limits)

    async def put_reference(self, reference_id: str, value: bytes) -> bool:
        """Keep a reference by its content id, for ever; False if it was there."""
        if len(value) > self._limits.reference_bytes:
            most = self._limits.reference_bytes
            raise TooLarge(f"reference {reference_id}: {len(value)} bytes, the limit is {most}")
        reply: Any = self._client.set(self._reference(reference_id), value, nx=True)
        return bool(await reply)

    async def get_reference(self, reference_id: str) -> bytes | None:
        """A reference, or None."""
        reply: Any = self._client.get(self._reference(reference_id))
        value: bytes | None = await reply
        return value

    async def read_shares(
        self, stage: str, numbers: Sequence[int], fields: Sequence[str]
    ) -> list[bytes | None]:
        """Field i of the state of partition i, for all i; None where there is none.

        Raises Damaged.
        """
        async with self._client.pipeline(transaction=False) as pipe:
            for number, field in zip(numbers, fields, strict=True):
                pipe.hget(self.partition(stage, number).key("state"), field)
            found: list[bytes | None] = await pipe.execute() if numbers else []
        names = (self.partition(stage, number).name for number in numbers)
        return [
            None if raw is None else opened(name, field, raw)
            for name, field, raw in zip(names, fields, found, strict=True)
        ]

    async def histories(
        self, owners: Mapping[str, Collection[str]], together: int = 16
    ) -> dict[str, History]:
        """What Redis says of owners of partitions, by the names of these ("ledger:3")."""
        asked = [(name, sorted(some)) for name, some in sorted(owners.items())]
        calls: list[Call] = []
        for name, some in asked:
            partition = self._named(name)
            calls.append(((partition.key("meta"), partition.key("claims")), some))
        replies: list[list[Any]] = []
        for at in range(0, len(calls), together):
            replies += await self._scripts.run_all("claims", calls[at : at + together])
        return {
            name: history_of(reply, some)
            for (name, some), reply in zip(asked, replies, strict=True)
        }

    async def answers(self) -> str:
        """What is wrong with Redis at this moment; nothing where it answers."""
        try:
            reply: Any = self._client.ping()
            await reply
        except OUTAGES as error:
            return str(error) or type(error).__name__
        return ""

    async def check(self) -> None:
        """Raises Unusable where this Redis does not answer us, may evict, or wastes memory."""
        try:
            await self._check()
        except redis.AuthenticationError as error:
            raise Unusable(f"Redis refuses the user or the password: {error}. {ADVICE}") from None
        except redis.exceptions.NoPermissionError as error:
            raise Unusable(f"The user of Redis may not do what is needed: {error}") from None
        except OUTAGES as error:
            told = str(error).rstrip(".")
            raise Unusable(f"Redis cannot be reached: {told}. {ADVICE}") from None

    async def _check(self) -> None:
        reply: Any = self._client.info("memory")
        policy = (await reply).get("maxmemory_policy", "unknown")
        if policy != "noeviction":
            raise Unusable(
                f"Redis may drop state: maxmemory-policy is {policy!r}, noeviction is needed. "
                "Set it in redis.conf, or run: redis-cli CONFIG SET maxmemory-policy noeviction"
            )
        await self._check_packing()

    async def _check_packing(self) -> None:
        """Tried rather than asked: CONFIG is forbidden on many managed servers."""
        key = f"{self._prefix}:{{probe}}:{secrets.token_hex(8)}"
        entries = {i.to_bytes(8, "big"): bytes(64) for i in range(512)}
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(key, mapping=entries)  # type: ignore[arg-type]
            pipe.object("ENCODING", key)
            pipe.delete(key)
            try:
                encoding = (await pipe.execute())[1]
            except redis.ResponseError as error:
                raise Unusable(f"Redis refuses a small write: {error}") from error
        if encoding not in {b"listpack", b"ziplist", "listpack", "ziplist"}:
            raise Unusable(
                f"Redis would keep pending predictions unpacked ({encoding!r}), at five times "
                "the memory: hash-max-listpack-entries must be at least 512 and "
                "hash-max-listpack-value at least 64 (before Redis 7: hash-max-ziplist-...). Set "
                "them in redis.conf, or run: redis-cli CONFIG SET hash-max-ziplist-entries 512; "
                "redis-cli CONFIG SET hash-max-ziplist-value 64"
            )

    def _reference(self, reference_id: str) -> str:
        return f"{self._prefix}:reference:{reference_id}"
