"""Buckets of pending entries: as many as the entries need, however they come and go."""

from typing import Any

import numpy as np
import pytest

from agents.store import Changes, Limits, Partition, Store
from tests.worlds import Crashed, Play, World, commit, pending

FILL = 50


def hashes(n: int, seed: int = 1) -> list[int]:
    found: list[int] = np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64).tolist()
    return found


def entries(n: int, seed: int = 1) -> dict[int, bytes]:
    return {h: h.to_bytes(8, "little") * 2 for h in hashes(n, seed)}


async def opened(world: World, limits: Limits | None = None) -> Partition:
    chosen = limits or Limits(fill=FILL)
    partition = Store(world.client, world.prefix, chosen, world.hook).partition("ledger", 3)
    await partition.claim()
    return partition


async def sizes(world: World) -> list[int]:
    """Entries of each bucket that holds any."""
    names = [key for key in await world.keys() if key.startswith("pending:")]
    start = f"{world.prefix}:{{ledger:3}}:"
    return [await world.client.hlen(start + name) for name in names]


def test_the_number_of_buckets_follows_the_entries_up_and_down(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await opened(world)
        assert await sizes(world) == []
        some = entries(10)
        await commit(owner, Changes(pending_puts=some))
        assert await sizes(world) == [10]
        more = entries(5_000, 2)
        await commit(owner, Changes(pending_puts=more))
        assert owner.pending_count == 5_010
        assert len(await sizes(world)) == 5_010 // FILL + 1
        assert max(await sizes(world)) < 4 * FILL
        assert await pending(owner) == some | more
        await commit(owner, Changes(pending_deletes=set(more)))
        assert len(await sizes(world)) <= 2
        assert await pending(owner) == some

    play(scenario)


def test_every_entry_is_found_at_every_number_of_buckets(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await opened(world, Limits(fill=1))
        known: dict[int, bytes] = {}
        for h, value in entries(70).items():
            known[h] = value
            await commit(owner, Changes(pending_puts={h: value}))
            assert await owner.pending(np.array([*known, h + 1], dtype=np.uint64)) == known
        for h in list(known):
            del known[h]
            await commit(owner, Changes(pending_deletes={h}))
            assert await owner.pending(np.array([*known, h], dtype=np.uint64)) == known
        assert await sizes(world) == []

    play(scenario)


def test_buckets_stay_packed(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await opened(world, Limits())
        await commit(owner, Changes(pending_puts=entries(30_000)))
        packed = {b"listpack", b"ziplist"}
        for key in await world.client.keys(f"{world.prefix}:*pending:*"):
            assert await world.client.object("ENCODING", key) in packed

    play(scenario)


@pytest.mark.parametrize("hit", range(4))
def test_entries_of_a_fixed_number_of_buckets_are_taken_over(play: Play, hit: int) -> None:
    """As an earlier version kept them, also where the process dies on the way."""

    async def scenario(world: World) -> None:
        known = entries(1_000)
        start = f"{world.prefix}:{{ledger:3}}:"
        for h, value in known.items():
            bucket = (h >> 48) // (65536 // 8)
            await world.client.hset(
                f"{start}pending:{bucket}",
                h.to_bytes(8, "big"),
                value,
            )
        meta: dict[Any, Any] = {"buckets": 8, "pending": len(known), "seq": 4}
        await world.client.hset(f"{start}meta", mapping=meta)
        if hit:
            world.crash("before migrate", hit)
            with pytest.raises(Crashed):
                await world.partition().claim()
        owner = await opened(world, Limits(chunk_ops=20, fill=FILL))
        assert (owner.seq, owner.pending_count) == (4, 1_000)
        assert await pending(owner) == known
        assert not await world.client.hexists(f"{start}meta", "buckets")

    play(scenario)


def test_a_look_at_the_buckets_ends_after_so_many_bytes(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await opened(world, Limits(fill=1, scan_bytes=50))
        known = entries(64)
        await commit(owner, Changes(pending_puts=known))
        cursor, found = await owner.scan_pending(0, enough=500)
        assert cursor
        assert len(found) <= 8
        assert await pending(owner) == known

    play(scenario)
