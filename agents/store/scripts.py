"""The Lua scripts: read from files, run by their digest, with a hook around every call.

Every script may be run twice with the same arguments without harm. That is what makes it safe to
send again after a lost answer, by the caller, by redis-py's own retries, or after NOSCRIPT.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from importlib import resources
from typing import Any, TypeVar, cast

import redis
from redis.asyncio import Connection, Redis

from agents.store.changes import grouped

T = TypeVar("T")
Hook = Callable[[str], None]
Call = tuple[Sequence[str], Sequence[bytes | str | int]]

NAMES = (
    "apply",
    "claim",
    "claims",
    "commit",
    "finish",
    "ids",
    "migrate",
    "outbox",
    "pending",
    "remove",
    "scan",
    "stage",
    "sweep",
)
BUCKETS = {"apply", "ids", "migrate", "pending", "scan"}
"""Scripts that begin with `buckets.lua`: Redis knows no modules."""
OUTAGES = (redis.ConnectionError, redis.TimeoutError, OSError)
"""What a caller waits out: Redis is away, or cannot take writes now. Retry with back-off."""

_PASSING = (
    redis.exceptions.OutOfMemoryError,
    redis.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
)
_CODES = ("OOM ", "READONLY ", "LOADING ", "CLUSTERDOWN ", "MISCONF ", "NOREPLICAS ", "BUSY ")


class Unavailable(redis.ConnectionError):
    """Redis answers, but takes no writes now (out of memory, read only, loading, ...)."""


def sources() -> dict[str, str]:
    """The text of every script, by name."""
    folder = resources.files("agents") / "scripts"
    texts = {path: (folder / f"{path}.lua").read_text("utf-8") for path in (*NAMES, "buckets")}
    shared = texts.pop("buckets")
    return {name: shared + text if name in BUCKETS else text for name, text in texts.items()}


def nothing(step: str) -> None:
    """The hook that does nothing."""


class Scripts:
    """Runs scripts. The hook hears "before NAME" and "after NAME"; raising is a crash there."""

    def __init__(self, client: Redis, texts: dict[str, str], hook: Hook = nothing) -> None:
        self._client = client
        self._texts = texts
        self._digests: dict[str, str] = {}
        self._hook = hook

    async def run(self, name: str, call: Call) -> Any:
        """The reply of one call. Raises one of OUTAGES when its outcome is not known."""
        return (await self.run_all(name, [call]))[0]

    async def run_all(
        self, name: str, calls: Sequence[Call], together: int | None = None
    ) -> list[Any]:
        """The replies of some calls of one script, run in order.

        together: how many are sent at a time. Redis runs what one client has sent before it looks
        at the others.
        """
        found: list[Any] = []
        async with self._connection() as connection:
            for some in slices(calls, together or max(1, len(calls))):
                self._hook(f"before {name}")
                found += await self._try(connection, name, some)
                self._hook(f"after {name}")
        return found

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """One for some requests after each other: finding one takes as long as a request."""
        pool: Any = self._client.connection_pool
        connection = await pool.get_connection()
        try:
            yield connection
        except BaseException:
            await connection.disconnect(nowait=True)  # answers may come that nobody waits for
            raise
        finally:
            await asyncio.shield(pool.release(connection))

    async def _try(self, connection: Connection, name: str, calls: Sequence[Call]) -> list[Any]:
        try:
            return await self._send(connection, name, calls)
        except redis.exceptions.NoScriptError:
            self._digests.clear()
            return await self._send(connection, name, calls)
        except redis.ResponseError as error:
            raise _named(error) from error

    async def _send(self, connection: Connection, name: str, calls: Sequence[Call]) -> list[Any]:
        digest = self._digests.get(name) or await self._load(name)
        commands = [("EVALSHA", digest, len(keys), *keys, *values) for keys, values in calls]

        async def send() -> list[Any]:
            await connection.send_packed_command(connection.pack_commands(commands))
            replies = [await _reply(connection) for _ in commands]
            for reply in replies:
                if isinstance(reply, redis.ResponseError):
                    raise reply
            return replies

        return await connection.retry.call_with_retry(send, lambda _: connection.disconnect())

    async def _load(self, name: str) -> str:
        loaded = cast(Awaitable[bytes | str], self._client.script_load(self._texts[name]))
        digest = await loaded
        self._digests[name] = digest.decode() if isinstance(digest, bytes) else digest
        return self._digests[name]


async def _reply(connection: Connection) -> Any:
    """What was answered, also where that is an error: those behind it are to be read as well."""
    try:
        return await connection.read_response()
    except redis.ResponseError as error:
        return error


def _named(error: redis.ResponseError) -> Exception:
    """Redis 6 hides the code of an error inside a script in the middle of the message."""
    text = str(error)
    if isinstance(error, _PASSING) or any(code in text for code in _CODES):
        return Unavailable(text)
    return error


def slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Parts of so many items; the last one may be shorter."""
    return (items[i : i + size] for i in range(0, len(items), size))


def by_size(calls: Iterator[Call], most: int) -> Iterator[list[Call]]:
    """Groups of calls whose chunks add up to `most` bytes, or of one call."""
    sized = (
        (sum(len(value) for value in call[1] if isinstance(value, bytes)), call) for call in calls
    )
    return grouped(sized, most)
