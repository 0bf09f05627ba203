"""The ledger agent on a real Redis: restored, kept in order, and told in counters."""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import pytest
from redis.asyncio import Redis

from agents.chunks import Record
from agents.context import Context
from agents.counters import Counters
from agents.ledger import LOOKS, ROUNDS, SLICE, LedgerCore, looks_of
from agents.producers import Producer
from agents.settings import Bounds, Settings
from agents.store import Changes as Stored
from agents.store import Damaged, Partition, Store
from stream.batches import Batch, encode_batch
from tests.ledgers import batch_of, prediction, truth

TOPIC = "driftline.events"


@dataclasses.dataclass
class Raw:
    """A record of the internal log."""

    offset: int
    value: bytes | None
    timestamp: int = 5
    key: bytes | None = b"key"
    headers: Sequence[tuple[str, bytes | None]] = ()


class World:
    """A worker's share of the ledger: one partition, and what its keeper would do with it."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        nobody = cast(Producer, None)  # the ledger itself publishes nothing
        self.counters = Counters()
        store = Store(client, "test")
        self.context = Context(settings, store, nobody, self.counters, {TOPIC: 1}, {})
        self.partition: Partition = store.partition("ledger", 0)
        self.core = LedgerCore(self.context, 0)
        self.offset = 0

    async def open(self) -> None:
        await self.partition.claim()
        await self.core.restore(self.partition)

    async def apply(self, *values: bytes | Batch) -> None:
        records: list[Record] = []
        for value in values:
            raw = encode_batch(value) if isinstance(value, Batch) else value
            records.append(Raw(self.offset, raw))
            self.offset += 1
        await self.core.apply(self.partition, records)

    async def checkpoint(self) -> Stored:
        made = self.core.changes()
        stored = Stored(made.puts, made.deletes, made.pending_puts, made.pending_deletes, [])
        await self.partition.checkpoint(self.partition.prepare(stored, self.offset, "id"))
        return stored

    def rows(self, outcome: str) -> float:
        found = self.counters.registry.get_sample_value(
            "driftline_rows_total", {"outcome": outcome}
        )
        return found or 0.0


Scenario = Callable[[World], Awaitable[None]]


def play(url: str, scenario: Scenario, settings: Settings | None = None) -> None:
    async def main() -> None:
        async with Redis.from_url(url) as client:
            world = World(client, settings or Settings())
            await world.open()
            await scenario(world)

    asyncio.run(main())


def test_what_was_checkpointed_is_restored_and_joined_with_what_comes(redis_url: str) -> None:
    async def scenario(world: World) -> None:
        await world.apply(batch_of(prediction(1, 5), prediction(2, 6)))
        await world.checkpoint()
        await world.open()
        await world.apply(batch_of(prediction(1, 5)), batch_of(truth(1, 9)))
        await world.checkpoint()
        assert world.core.ledger.matches.pending == 2
        assert (world.rows("predictions"), world.rows("outcomes")) == (2, 1)

    play(redis_url, scenario)


def test_what_is_no_batch_becomes_a_dead_letter_and_the_rest_goes_on(redis_url: str) -> None:
    async def scenario(world: World) -> None:
        await world.apply(b"junk", batch_of(prediction(1, 5)))
        letters = [m for m in world.core.changes().outbox if m.topic == "dead-letters"]
        assert [m.value for m in letters] == [b"junk"]
        assert dict(letters[0].headers)["driftline-reason"] == b"not-a-batch"
        assert world.rows("predictions") == 1

    play(redis_url, scenario)


def test_a_damaged_batch_of_intakes_own_is_a_loss_and_ends_the_worker(redis_url: str) -> None:
    async def scenario(world: World) -> None:
        whole = encode_batch(batch_of(prediction(1, 5)))
        for damaged in (whole[:-9], whole[:20] + b"\0" + whole[21:], whole[:4]):
            with pytest.raises(Damaged, match=r"driftline repair events --again$"):
                await world.apply(damaged)

    play(redis_url, scenario)


def test_housekeeping_keeps_up_with_the_number_of_entries() -> None:
    assert looks_of(0) == 1
    for pending in (1_000, 1_000_000, LOOKS * SLICE * ROUNDS - 1):
        assert looks_of(pending) * SLICE * ROUNDS > pending
    assert looks_of(10**9) == LOOKS


def test_housekeeping_goes_round_and_removes_what_has_expired(redis_url: str) -> None:
    month_ms = 31 * 86_400_000

    async def scenario(world: World) -> None:
        await world.apply(batch_of(*(prediction(i, 5) for i in range(1_000))))
        await world.apply(batch_of(prediction(5_000, month_ms), first=1_000))
        await world.apply(batch_of(truth(5_000, month_ms)))
        await world.checkpoint()
        for _ in range(100):
            await world.core.housekeeping(world.partition)
            await world.checkpoint()
            if world.core.cursor == 0:
                break
        assert world.core.ledger.matches.pending == world.partition.pending_count == 1
        await world.open()
        assert world.core.ledger.matches.pending == 1

    play(redis_url, scenario)


def test_a_sample_of_what_would_be_too_many_is_joined_and_goes_on_after_a_restart(
    redis_url: str,
) -> None:
    small = {"pane_s": 10, "windows_s": (10,), "horizon_s": 1_000, "max_pending": 100}

    async def scenario(world: World) -> None:
        for pane in range(20):
            first = pane * 15
            some = [prediction(first + i, pane * 10_000 + i) for i in range(15)]
            await world.apply(batch_of(*some, first=first))
            await world.checkpoint()
            before = world.core.ledger.thinning.models
            await world.open()
            assert world.core.ledger.thinning.models == before
        await world.apply(batch_of(*(truth(i, 200_000) for i in range(300))))
        await world.checkpoint()
        waiting = world.partition.pending_count
        assert world.core.ledger.matches.pending == waiting <= 100
        assert world.rows("predictions-sampled-out") == 300 - waiting
        assert (world.rows("outcomes"), world.rows("pending-full")) == (waiting, 0)
        world.counters.cover()
        assert world.counters.registry.get_sample_value("driftline_join_coverage") == 1.0

    play(redis_url, scenario, Settings.model_validate({"defaults": small}))


def test_too_many_models_are_said_once(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World) -> None:
        for i in range(3):
            await world.apply(batch_of(prediction(i, i, model=f"m{i}"), first=i))
            await world.checkpoint()
        assert world.rows("too-many-models") == 2

    with caplog.at_level(logging.ERROR):
        play(redis_url, scenario, Settings(limits=Bounds(max_models=1)))
    assert [r.message for r in caplog.records if "max_models = 1" in r.message]
    assert len(caplog.records) == 1
