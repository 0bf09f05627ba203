"""The checkpoint protocol on real Redis servers, step by step."""

import asyncio
from typing import Any

import numpy as np
import pytest

from agents.store import (
    Changes,
    Refused,
    nothing,
)
from tests.worlds import Crashed, Play, World, changes, commit, pending


def test_a_new_partition_is_empty_and_each_claim_is_a_new_epoch(play: Play) -> None:
    async def scenario(world: World) -> None:
        first = await world.partition().claim()
        assert (first.epoch, first.seq, first.next, first.topic_id) == (1, 0, None, None)
        assert (first.pending, first.backlog, first.recovered) == (0, 0, False)
        assert (await world.partition().claim()).epoch == 2

    play(scenario)


def test_a_checkpoint_is_what_the_next_owner_finds(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await world.owner()
        await commit(owner, changes("a"), next=7)
        await commit(owner, Changes(deletes={"a", "none"}, pending_deletes={1 << 61, 5}))
        await owner.checkpoint(owner.prepare(Changes(), None, None))
        before, owner = owner, world.partition()
        claim = await owner.claim()
        assert (claim.seq, claim.next, claim.topic_id) == (3, 7, "identity")
        assert (claim.pending, claim.backlog) == (5, 3) == (before.pending_count, before.backlog)
        assert await owner.load() == {f"field-{i}": b"a" * 10 for i in range(5)}
        assert await owner.load("*-[34]") == {"field-3": b"a" * 10, "field-4": b"a" * 10}
        assert await owner.get_many(["field-0", "a"]) == [b"a" * 10, None]
        hashes = {0, 2 << 61, 3 << 61, 4 << 61, 2**64 - 1}
        assert await pending(owner) == dict.fromkeys(hashes, b"a")
        asked = np.array([5, 2**64 - 1, 1 << 61, 0], dtype=np.uint64)
        assert await owner.pending(asked) == {2**64 - 1: b"a", 0: b"a"}
        assert not [key for key in await world.keys() if key.startswith(("redo", "staged"))]

    play(scenario)


async def lost_answer(world: World) -> None:
    owner = await world.owner()
    attempt = owner.prepare(changes("a"), 1, None)
    world.crash("after commit")
    with pytest.raises(Crashed):
        await owner.checkpoint(attempt)
    await owner.checkpoint(attempt)
    await owner.checkpoint(attempt)
    assert owner.backlog == 3
    assert (await world.partition().claim()).seq == 1


async def second_attempt_after_a_lost_answer(world: World) -> None:
    owner = await world.owner()
    world.crash("after commit")
    with pytest.raises(Crashed):
        await commit(owner, changes("a"))
    with pytest.raises(Refused) as refused:
        await commit(owner, changes("b"))
    assert refused.value.kind == "seq"
    assert (await world.partition().claim()).backlog == 3


async def two_attempts_of_one_owner(world: World) -> None:
    owner = await world.owner()
    first, second = owner.prepare(changes("a"), 1, None), owner.prepare(changes("b"), 1, None)
    await owner.checkpoint(first)
    with pytest.raises(Refused) as refused:
        await owner.checkpoint(second)
    assert refused.value.kind == "seq"


async def old_owner_is_refused(world: World) -> None:
    old = await world.owner()
    attempt = old.prepare(changes("a"), 1, None)
    await world.owner()
    calls = (lambda: old.checkpoint(attempt), lambda: old.remove([0]), old.outbox, old.load)
    for call in calls:
        with pytest.raises(Refused) as refused:
            await call()
        assert refused.value.kind == "epoch"
    assert await world.partition().load() == {}


async def restored_snapshot_repeats_an_epoch(world: World) -> None:
    old = await world.owner()
    await world.client.delete(old.key("meta"))
    await world.owner()
    with pytest.raises(Refused):
        await commit(old, changes("a"))


async def zombie_applies_late(world: World) -> None:
    old, loop = await world.owner(), asyncio.get_running_loop()
    reached, resume = asyncio.Event(), asyncio.Event()
    await commit(old, changes("a"))
    send = old._scripts.run_all

    async def stall(name: str, calls: Any, *together: int) -> Any:
        if name == "apply":
            reached.set()
            await resume.wait()
        return await send(name, calls, *together)

    old._scripts.run_all = stall  # type: ignore[assignment]
    late = loop.create_task(commit(old, changes("b")))
    await reached.wait()
    old._scripts.run_all = send  # type: ignore[method-assign]
    new = await world.owner()
    await commit(new, Changes(puts={f"field-{i}": b"c" for i in range(5)}))
    resume.set()
    await late
    assert (await new.get_many(["field-0", "b"])) == [b"c", b"b"]


async def outbox_leaves_in_order(world: World) -> None:
    owner = await world.owner()
    await commit(owner, changes("a", messages=7))
    await commit(owner, changes("b", messages=1))
    values = []
    while some := await owner.outbox(limit=5):
        refs = [ref for ref, _ in some]
        with pytest.raises(Refused):
            await owner.remove(refs[1:] or [refs[0] + 1])
        await owner.remove(refs[:2])
        await owner.remove(refs[:2])
        values += [message.value for _, message in some[:2]]
    assert values == [b"a-%d" % i for i in range(7)] + [b"b-0"]
    assert owner.backlog == 0
    assert not [key for key in await world.keys() if key.startswith("out")]


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        lost_answer,
        second_attempt_after_a_lost_answer,
        two_attempts_of_one_owner,
        old_owner_is_refused,
        restored_snapshot_repeats_an_epoch,
        zombie_applies_late,
        outbox_leaves_in_order,
    )
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, play: Play) -> None:
    play(SCENARIOS[name])


STEPS = [
    f"{when} {name}"
    for name in ("stage", "commit", "apply", "finish")
    for when in ("before", "after")
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("hit", [1, 2, 3])
def test_a_crash_at_any_step_leaves_all_or_nothing(step: str, hit: int, play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = await world.owner()
        await commit(owner, changes("a"), next=1)
        world.crash(step, hit)
        try:
            await commit(owner, changes("b"), next=2)
        except Crashed:
            committed = step not in {"before stage", "after stage", "before commit"}
        else:
            assert hit > 1
            committed = True
        world.hook = nothing
        new = world.partition()
        claim = await new.claim()
        word = b"b" if committed else b"a"
        assert (claim.seq, claim.next) == ((2, 2) if committed else (1, 1))
        assert (await new.get_many(["field-4"])) == [word * 10]
        assert set((await pending(new)).values()) == {word}
        assert claim.backlog == (6 if committed else 3)
        left = [key for key in await world.keys() if key.startswith(("redo", "staged"))]
        assert not left
        assert len([key for key in await world.keys() if key.startswith("out:")]) == claim.seq

    play(scenario)


def test_a_claim_may_die_and_the_next_one_finishes(play: Play) -> None:
    async def scenario(world: World) -> None:
        for step in ("before apply", "after apply", "before finish", "after finish"):
            owner = await world.owner()
            world.crash("before apply")
            with pytest.raises(Crashed):
                await commit(owner, changes(step))
            world.crash(step)
            with pytest.raises(Crashed):
                await owner.claim()
            with pytest.raises(Refused):
                await commit(owner, changes("x"))
            await owner.claim()
            assert (await owner.get_many(["field-1"])) == [step.encode() * 10]
            assert owner.pending_count == len(await pending(owner)) == 6

    play(scenario)


def test_who_was_replaced_reads_nothing_any_more(play: Play) -> None:
    async def scenario(world: World) -> None:
        before = await world.owner()
        await commit(before, changes("b"))
        after = await world.owner()
        await commit(after, changes("a"))
        for call in (
            before.load(),
            before.scan_pending(),
            before.pending(np.array([0], dtype=np.uint64)),
        ):
            with pytest.raises(Refused, match="another owner"):
                await call
        assert await after.load()
        looker = world.partition()  # who never claimed may look
        assert await looker.load() == await after.load()
        assert await pending(looker) == await pending(after)

    play(scenario)
