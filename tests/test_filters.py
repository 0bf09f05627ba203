"""Filters: an id that was added is never overlooked, however many there are and whatever splits."""

import numpy as np
import pytest

from agents.store import Changes, Limits, Partition, Store
from agents.store.filters import LEAST, Filter, Known
from stream.columns import Hashes
from tests.worlds import Play, World, commit


def ids(n: int, seed: int = 1) -> Hashes:
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


@pytest.mark.parametrize("n", [1, LEAST, LEAST + 1, 50_000])
def test_what_was_added_is_found_and_little_else(n: int) -> None:
    known = Filter(0, 2**24)
    for at in range(0, n, 1_000):
        known.add(ids(n)[at : at + 1_000])
    assert known.may_hold(ids(n)).all()
    assert known.may_hold(ids(20_000, seed=2)).mean() < 0.05


def test_ids_of_one_partition_agree_in_some_bits_and_are_told_apart() -> None:
    known = Filter(10_000, 2**24)
    low = np.uint64(0xFFFFFFFFFFFFFF00)
    known.add(ids(10_000) & low)
    assert known.may_hold(ids(20_000, seed=2) & low).mean() < 0.02


def test_beyond_its_memory_it_knows_less_and_overlooks_nothing() -> None:
    known = Filter(0, 2**14)
    known.add(ids(100_000))
    assert known.may_hold(ids(100_000)).all()
    assert sum(layer.words.nbytes for layer in known._layers) <= 2**14


def test_until_all_is_read_every_id_may_be_there() -> None:
    known = Known(10, 2**20)
    known.seen(ids(5), 1, 2)
    assert known.reading()
    assert len(known.asked(ids(100, seed=3))) == 100
    known.seen(ids(5, seed=2), 2, 2)
    assert not known.reading()
    assert len(known.asked(ids(100, seed=3))) < 10


def test_where_buckets_were_merged_it_begins_again() -> None:
    known = Known(10, 2**20)
    known.seen(ids(5), 3, 4)
    known.seen(ids(5), 3, 3)
    assert known.reading()
    assert known.bucket == 0


def test_when_most_are_gone_it_begins_anew_beside_the_old() -> None:
    known = Known(0, 2**24)
    for part in range(6):
        known.put(ids(LEAST, part), 0)
    assert known.reading()
    assert len(known.asked(ids(LEAST, 1))) == LEAST
    known.seen(ids(0), 1, 1)
    assert not known.reading()
    assert len(known.asked(ids(LEAST, 1))) < LEAST // 10
    assert len(known.asked(ids(LEAST, 5))) == LEAST


async def opened(world: World, limits: Limits) -> Partition:
    partition = Store(world.client, world.prefix, limits, world.hook).partition("ledger", 3)
    await partition.claim()
    return partition


def test_ids_that_cannot_be_there_are_not_asked_for(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await opened(world, Limits())
        await commit(owner, Changes(pending_puts=dict.fromkeys(ids(100).tolist(), b"a")))
        calls: list[str] = []
        owner._scripts._hook = calls.append
        assert await owner.pending(ids(30, seed=2)) == {}
        assert calls == []
        assert len(await owner.pending(ids(100))) == 100
        assert calls == ["before pending", "after pending"]

    play(scenario)


def test_a_taken_over_store_is_learnt_while_it_splits_and_merges(play: Play) -> None:
    """Whatever comes and goes between two looks, nothing that is there is overlooked."""

    async def scenario(world: World) -> None:
        limits, random = Limits(fill=3, lookups=5, chunk_ops=10), np.random.default_rng(7)
        known: dict[int, bytes] = dict.fromkeys(ids(500).tolist(), b"a")
        await commit(await opened(world, limits), Changes(pending_puts=dict(known)))
        owner = await opened(world, limits)
        for step in range(60):
            if random.random() < 0.6:
                some = dict.fromkeys(ids(15, 100 + step).tolist(), b"b")
                await commit(owner, Changes(pending_puts=some))
                known |= some
            else:
                gone = set(list(known)[: int(random.integers(1, 20))])
                await commit(owner, Changes(pending_deletes=gone))
                known = {h: value for h, value in known.items() if h not in gone}
            asked = random.permutation(np.array(list(known), dtype=np.uint64))[:25]
            found = await owner.pending(np.concatenate([asked, ids(5, 900 + step)]))
            assert found == {h: known[h] for h in asked.tolist()}
        everything = np.array(list(known), dtype=np.uint64)
        for _ in range(3):
            assert await owner.pending(everything) == known
        assert owner._known is not None
        assert not owner._known.reading()

    play(scenario)
