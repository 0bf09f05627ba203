"""What the store does when Redis is full, forgetful, away or unfit, and where its limits are."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable

import numpy as np
import pytest
import redis

from agents.store import (
    OUTAGES,
    Changes,
    Limits,
    OutMessage,
    Refused,
    Store,
    TooLarge,
    Unavailable,
    Unusable,
    connect,
    nothing,
)
from tests.redises import binaries, serve
from tests.worlds import Crashed, Play, World, changes, commit


@pytest.fixture(params=sorted(binaries()))
def binary(request: pytest.FixtureRequest) -> str:
    return binaries()[request.param]


def test_many_pending_entries_are_looked_up_in_several_calls(play: Play) -> None:
    async def scenario(world: World) -> None:
        hashes = np.random.default_rng(1).integers(0, 2**64, 5000, dtype=np.uint64)
        owner = Store(world.client, world.prefix).partition("ledger", 3)
        await owner.claim()
        entries = {h: h.to_bytes(8, "little") for h in hashes.tolist()[::2]}
        await commit(owner, Changes(pending_puts=entries))
        assert await owner.pending(hashes) == entries
        assert await owner.pending(hashes[:0]) == {}

    play(scenario)


def test_scripts_are_loaded_again_when_redis_forgets_them(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await world.owner()
        await commit(owner, changes("a"))
        await world.client.script_flush()
        await commit(owner, changes("b"))
        assert owner.seq == 2

    play(scenario)


def test_staged_chunks_that_redis_lost_are_staged_again(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await world.owner()
        attempt = owner.prepare(changes("a"), 1, None)
        world.crash("before commit")
        with pytest.raises(Crashed):
            await owner.checkpoint(attempt)
        redo = owner.key("redo", attempt.id)
        with pytest.raises(redis.ConnectionError, match="try again"):
            await _lose(world, redo, owner.checkpoint(attempt))
        await owner.checkpoint(attempt)
        assert (await owner.get_many(["a"])) == [b"a"]

    play(scenario)


async def _lose(world: World, key: str, call: Awaitable[None]) -> None:
    """Delete a key just before the commit: what a Redis does that restarts without its tail."""
    pool = world.client.connection_pool
    other = redis.Redis(unix_socket_path=pool.connection_kwargs["path"])

    def hook(step: str) -> None:
        if step == "before commit":
            world.hook = nothing
            other.delete(key)
            other.close()

    world.hook = hook
    await call


def test_a_full_redis_is_an_outage_and_loses_nothing(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await world.owner()
        attempt = owner.prepare(changes("a"), 1, None)
        await world.client.config_set("maxmemory", 1)
        try:
            with pytest.raises(Unavailable, match="maxmemory"):
                await owner.checkpoint(attempt)
        finally:
            await world.client.config_set("maxmemory", 0)
        await owner.checkpoint(attempt)
        assert (await owner.get_many(["a"])) == [b"a"]

    play(scenario)


def test_limits_are_named(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = Store(world.client, world.prefix, Limits(value_bytes=10)).partition("ledger", 3)
        for some in (
            Changes(puts={"big": bytes(11)}),
            Changes(pending_puts={1: bytes(11)}),
            Changes(outbox=[OutMessage("big", None, bytes(11))]),
        ):
            with pytest.raises(TooLarge, match=r"(11|23) bytes, the limit is 10"):
                owner.prepare(some, 1, None)
        with pytest.raises(ValueError, match="puts and deletes"):
            owner.prepare(Changes(puts={"a": b""}, deletes={"a"}), 1, None)
        with pytest.raises(ValueError, match="1 to 200"):
            Limits(fill=1000)

    play(scenario)


def test_references_and_shares_are_read_by_everybody(play: Play) -> None:
    async def scenario(world: World) -> None:
        assert await world.store.put_reference("r", b"one")
        assert not await world.store.put_reference("r", b"two")
        assert await world.store.get_reference("r") == b"one"
        assert await world.store.get_reference("s") is None
        await commit(await world.owner(), changes("a"))
        found = await world.store.read_shares("ledger", [3, 4, 3], ["a", "a", "b"])
        assert found == [b"a", None, None]

    play(scenario)


def test_the_check_at_start_names_the_setting(play: Play) -> None:
    async def scenario(world: World) -> None:
        await world.store.check()
        assert await world.store.answers() == ""
        for setting, bad in (
            ("maxmemory-policy", "allkeys-lru"),
            ("hash-max-ziplist-entries", "128"),
            ("hash-max-ziplist-value", "32"),
        ):
            before = str((await world.client.config_get(setting))[setting])
            await world.client.config_set(setting, bad)
            try:
                with pytest.raises(Unusable, match=setting):
                    await world.store.check()
            finally:
                await world.client.config_set(setting, before)

    play(scenario)


def test_a_redis_that_is_not_there_is_not_ready_and_says_so_soon() -> None:
    async def main() -> str:
        async with connect("unix:///nowhere") as client:
            with pytest.raises(OUTAGES):
                await Store(client).partition("ledger", 3).claim()
            return await Store(client).answers()

    start = time.monotonic()
    assert asyncio.run(main())
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("kept", ["yes", "no"])
def test_a_restart_of_redis_is_waited_out_or_refused(kept: str, binary: str) -> None:
    """With its file it knows the attempt; without, nothing is counted on top of what it forgot."""

    async def main(home: str) -> None:
        options = ("--appendonly", kept, "--appendfsync", "always")
        async with connect(f"unix://{home}/socket") as client:
            with serve(binary, *options, home=home):
                owner = Store(client).partition("ledger", 3)
                await owner.claim()
                attempt = owner.prepare(changes("a"), 1, None)
                await owner.checkpoint(attempt)
            with pytest.raises(OUTAGES):
                await owner.checkpoint(attempt)
            with serve(binary, *options, home=home):
                if kept == "no":
                    with pytest.raises(Refused):
                        await owner.checkpoint(attempt)
                else:
                    await owner.checkpoint(attempt)
                assert (await owner.claim()).next == (1 if kept == "yes" else None)

    with tempfile.TemporaryDirectory() as home:
        asyncio.run(main(home))
