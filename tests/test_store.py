"""The checkpoint protocol on real Redis servers, step by step."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest
import redis
from redis.asyncio import Redis

from agents.store import (
    Changes,
    Limits,
    OutMessage,
    Partition,
    Prepared,
    Refused,
    Store,
    TooLarge,
    Unavailable,
    Unusable,
    nothing,
    sources,
)
from tests.redises import binaries, serve

SMALL = Limits(chunk_bytes=64, chunk_ops=2, request_bytes=100, buckets=8, outbox_bodies=3)
Scenario = Callable[["World"], Awaitable[None]]


class Crashed(Exception):
    """Stands for the death of a process."""


class World:
    """One server, and a hook that a scenario may set."""

    def __init__(self, client: Redis, texts: dict[str, str] | None = None) -> None:
        self.client = client
        self.hook: Callable[[str], None] = nothing
        self.prefix = secrets.token_hex(4)
        self.store = Store(client, self.prefix, SMALL, self._step, texts)

    def _step(self, step: str) -> None:
        self.hook(step)

    def partition(self) -> Partition:
        return self.store.partition("ledger", 3)

    async def owner(self) -> Partition:
        partition = self.partition()
        await partition.claim()
        return partition

    def crash(self, at: str, hit: int = 1) -> None:
        """Raise Crashed at the hit-th time that a step is reached."""
        left = hit

        def hook(step: str) -> None:
            nonlocal left
            left -= step == at
            if step == at and left == 0:
                self.hook = nothing
                raise Crashed(step)

        self.hook = hook

    async def keys(self) -> set[str]:
        start = f"{self.prefix}:{{ledger:3}}:"
        found: list[bytes] = await self.client.keys(f"{start}*")  # type: ignore[assignment]
        return {key.decode().removeprefix(start) for key in found}


def changes(word: str, messages: int = 3) -> Changes:
    """Changes that make several chunks of every kind; the pending hashes lie in two buckets."""
    value = word.encode()
    return Changes(
        puts={f"field-{i}": value * 10 for i in range(5)} | {word: value},
        pending_puts={i << 61: value for i in range(5)} | {2**64 - 1: value},
        outbox=[OutMessage("t", b"k", b"%s-%d" % (value, i)) for i in range(messages)],
    )


async def commit(partition: Partition, some: Changes, next: int | None = None) -> Prepared:
    prepared = partition.prepare(some, next, "identity")
    await partition.checkpoint(prepared)
    return prepared


async def pending(partition: Partition) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    cursor = 0
    while True:
        cursor, some = await partition.scan_pending(cursor, enough=3)
        found |= some
        if cursor == 0:
            return found


@pytest.fixture(scope="module", params=sorted(binaries()))
def socket(request: pytest.FixtureRequest) -> Iterator[str]:
    with serve(binaries()[request.param]) as path:
        yield path


Play = Callable[..., None]


@pytest.fixture
def play(socket: str) -> Play:
    def run(scenario: Scenario, texts: dict[str, str] | None = None) -> None:
        async def main() -> None:
            async with Redis(unix_socket_path=socket) as client:
                await scenario(World(client, texts))

        asyncio.run(main())

    return run


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
        claim = await world.partition().claim()
        assert (claim.seq, claim.next, claim.topic_id) == (2, 7, "identity")
        assert (claim.pending, claim.backlog) == (5, 3) == (owner.pending_count, owner.backlog)
        assert await owner.load() == {f"field-{i}": b"a" * 10 for i in range(5)}
        assert await owner.load("*-[34]") == {"field-3": b"a" * 10, "field-4": b"a" * 10}
        assert await owner.get_many(["field-0", "a"]) == [b"a" * 10, None]
        hashes = {0, 2 << 61, 3 << 61, 4 << 61, 2**64 - 1}
        assert await pending(owner) == dict.fromkeys(hashes, b"a")
        asked = np.array([5, 2**64 - 1, 1 << 61, 0], dtype=np.uint64)
        assert await owner.pending(asked) == {2**64 - 1: b"a", 0: b"a"}
        assert not [key for key in await world.keys() if key.startswith(("redo", "staged"))]

    play(scenario)


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
    calls = (lambda: old.checkpoint(attempt), lambda: old.remove([0]), old.outbox)
    for call in calls:
        with pytest.raises(Refused) as refused:
            await call()
        assert refused.value.kind == "epoch"
    assert await old.load() == {}


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

    async def stall(name: str, calls: Any) -> Any:
        if name == "apply":
            reached.set()
            await resume.wait()
        return await send(name, calls)

    old._scripts.run_all = stall  # type: ignore[method-assign]
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


SEQ = "if (m[2] or '0') ~= ARGV[2] then"
EPOCH = "if m[1] ~= ARGV[1] then"
EDITS = {
    "seq check off": ("two_attempts_of_one_owner", {"stage": SEQ, "commit": SEQ}),
    "epoch check off": ("old_owner_is_refused", {"stage": EPOCH, "commit": EPOCH}),
    "relay by anyone": ("old_owner_is_refused", {"outbox": EPOCH, "remove": EPOCH}),
    "relay out of order": ("outbox_leaves_in_order", {"remove": "if first > head or"}),
    "lost answer unknown": ("lost_answer", {"stage": "if m[3] == ", "commit": "if m[3] == "}),
    "late apply": (
        "zombie_applies_late",
        {
            "apply": "if redis.call('HGET', KEYS[1], 'redo') ~= ARGV[1] then",
            "finish": "if redis.call('HLEN', KEYS[2]) > 0 then",
        },
    ),
}


@pytest.mark.parametrize("control", EDITS)
def test_without_a_check_its_scenario_fails(control: str, play: Play) -> None:
    name, edits = EDITS[control]
    texts = sources()
    for script, check in edits.items():
        assert check in texts[script]
        texts[script] = texts[script].replace(check, f"if false and {check.removeprefix('if ')}")
    texts["apply"] = texts["apply"].replace("redis.call('HDEL', KEYS[2], ARGV[2])", "")
    if control != "late apply":
        texts["apply"] = sources()["apply"]
    with pytest.raises((AssertionError, pytest.fail.Exception, Refused)):
        play(SCENARIOS[name], texts)


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


def test_the_number_of_buckets_of_a_partition_stays(play: Play) -> None:
    async def scenario(world: World) -> None:
        await commit(await world.owner(), changes("a"))
        other = Store(world.client, world.prefix, Limits(buckets=4096)).partition("ledger", 3)
        await other.claim()
        assert len(await other.pending(np.array([2**64 - 1, 0], dtype=np.uint64))) == 2

    play(scenario)


def test_limits_are_named(play: Play) -> None:
    async def scenario(world: World) -> None:
        owner = Store(world.client, world.prefix, Limits(value_bytes=10)).partition("ledger", 3)
        for some in (
            Changes(puts={"big": bytes(11)}),
            Changes(pending_puts={1: bytes(11)}),
            Changes(outbox=[OutMessage("big", None, bytes(11))]),
        ):
            with pytest.raises(TooLarge, match="11 bytes, the limit is 10"):
                owner.prepare(some, 1, None)
        with pytest.raises(ValueError, match="puts and deletes"):
            owner.prepare(Changes(puts={"a": b""}, deletes={"a"}), 1, None)
        with pytest.raises(ValueError, match="power of two"):
            Limits(buckets=1000)

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
        assert await world.store.ready()
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


def test_a_redis_that_is_not_there_is_not_ready() -> None:
    async def main() -> bool:
        async with Redis(unix_socket_path="/nowhere") as client:
            return await Store(client).ready()

    assert not asyncio.run(main())
