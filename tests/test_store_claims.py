"""Who made which checkpoints is remembered, whatever happens to the server and to its owners."""

import pytest
import redis

from agents.store import Changes, Limits, Partition, Refused, Span, Stamp, Store, stamp_of
from tests.worlds import Crashed, Play, World, changes, commit

NAME = "ledger:3"


async def spans(world: World, *owners: str) -> list[tuple[int, int, bool]]:
    history = (await world.store.histories({NAME: owners}))[NAME]
    return [tuple(history.spans[owner]) for owner in owners]  # type: ignore[misc]


async def stands(world: World, stamp: Stamp) -> bool:
    history = (await world.store.histories({NAME: {stamp.owner}}))[NAME]
    return history.knows(stamp) and history.has(stamp)


async def copy(world: World) -> dict[bytes, bytes]:
    """All of a partition, as a snapshot would have it."""
    keys = await world.client.keys(f"{world.prefix}:*")
    return {key: await world.client.dump(key) for key in keys}  # type: ignore[misc]


async def roll_back(world: World, kept: dict[bytes, bytes]) -> None:
    for key in await world.client.keys(f"{world.prefix}:*"):
        await world.client.delete(key)
    for key, value in kept.items():
        await world.client.restore(key, 0, value)


def test_each_owner_has_the_checkpoints_it_made(play: Play) -> None:
    async def scenario(world: World) -> None:
        first = await world.owner()
        one = first.stamp
        await commit(first, changes("a"))
        await commit(first, changes("b"))
        second = await world.owner()
        other = second.stamp
        assert (one.seq, other.seq) == (1, 3)
        assert await spans(world, one.owner, other.owner) == [(1, 2, False), (3, 2, True)]
        await commit(second, changes("c"))
        assert await spans(world, one.owner, other.owner) == [(1, 2, False), (3, 3, True)]
        assert await stands(world, one._replace(seq=2))
        assert not await stands(world, one._replace(seq=3))

    play(scenario)


def test_an_owner_that_made_none_leaves_no_trace(play: Play) -> None:
    async def scenario(world: World) -> None:
        idle = (await world.owner()).stamp
        busy = await world.owner()
        await commit(busy, changes("a"))
        assert await spans(world, idle.owner, "nobody") == [(1, 0, False)] * 2
        assert await world.client.zcard(busy.key("claims")) == 1

    play(scenario)


@pytest.mark.parametrize("step", ["after stage", "before commit", "after commit", "after apply"])
def test_a_crash_leaves_checkpoint_and_history_together(step: str, play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await world.owner()
        await commit(owner, changes("a"))
        stamp = owner.stamp
        world.crash(step)
        with pytest.raises(Crashed):
            await commit(owner, changes("b"))
        made = step in ("after commit", "after apply")
        history = (await world.store.histories({NAME: {stamp.owner}}))[NAME]
        assert (history.has(stamp), history.waits_for(stamp)) == (made, made)
        successor = await world.owner()
        assert await stands(world, stamp) == made
        assert successor.stamp.seq == 2 + made
        history = (await world.store.histories({NAME: {stamp.owner}}))[NAME]
        assert not history.waits

    play(scenario)


def test_what_was_made_again_is_not_what_was_lost(play: Play) -> None:
    async def scenario(world: World) -> None:
        first = await world.owner()
        await commit(first, changes("a"))
        kept, lost = await copy(world), first.stamp
        await commit(first, changes("b"))
        assert await stands(world, lost)
        await roll_back(world, kept)
        assert not await stands(world, lost)
        with pytest.raises(Refused, match="seq"):
            await first.verify()
        with pytest.raises(Refused, match="seq"):
            await commit(first, changes("c"))
        second = await world.owner()
        again = second.stamp
        await commit(second, changes("b"))
        await second.verify()
        assert again.seq == lost.seq
        assert (await stands(world, lost), await stands(world, again)) == (False, True)
        assert await stands(world, lost._replace(seq=1))

    play(scenario)


def test_a_rollback_between_confirming_and_committing_is_no_checkpoint(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await world.owner()
        kept = await copy(world)
        asked = 0

        async def confirm() -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                await roll_back(world, kept)
            else:
                raise Refused("ledger", NAME)

        attempt = owner.prepare(changes("a"), 1, None)
        with pytest.raises(redis.ConnectionError, match="lost staged chunks"):
            await owner.checkpoint(attempt, confirm)
        with pytest.raises(Refused, match="ledger"):
            await owner.checkpoint(attempt, confirm)
        assert (await world.owner()).seq == 0

    play(scenario)


def test_a_state_of_before_is_remembered_from_now_on(play: Play) -> None:
    async def scenario(world: World) -> None:
        old = await world.owner()
        await commit(old, changes("a"))
        await world.client.delete(old.key("claims"))  # an earlier version kept none
        new = await world.owner()
        assert (new.seq, new.stamp.seq) == (1, 2)
        await commit(new, changes("b"))
        assert await spans(world, old.stamp.owner, new.stamp.owner) == [(1, 0, False), (2, 2, True)]

    play(scenario)


def test_the_oldest_owners_are_forgotten_and_that_is_known(play: Play) -> None:
    async def scenario(world: World) -> None:
        store = Store(world.client, world.prefix, Limits(claims=3))
        made: list[Stamp] = []
        for word in "abcde":
            owner: Partition = store.partition("ledger", 3)
            await owner.claim()
            made.append(owner.stamp)
            await commit(owner, Changes(puts={word: b""}))
        history = (await store.histories({NAME: {stamp.owner for stamp in made}}))[NAME]
        assert [history.knows(stamp) for stamp in made] == [False, False, True, True, True]
        assert [history.has(stamp) for stamp in made] == [False, False, True, True, True]
        assert (history.remembered, history.spans[made[-1].owner]) == (3, Span(5, 5, newest=True))

    play(scenario)


def test_a_stamp_travels_as_a_header() -> None:
    stamp = Stamp(NAME, 12, "5:abc")
    assert stamp_of([("other", b"x"), stamp.header()]) == stamp
    assert stamp_of([("other", None)]) is None
    for raw in (b"", b"ledger:3 1", b"watch:3 1 o", b"ledger:x 1 o", b"ledger:3 -1 o", b"\xff"):
        with pytest.raises(ValueError, match="not a stamp"):
            stamp_of([(stamp.header()[0], raw)])
