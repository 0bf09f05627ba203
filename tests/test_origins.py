"""The watch takes in what Redis has, and rests on nothing that it has lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from redis.asyncio import Redis

from agents import origins
from agents.context import Context
from agents.counters import Counters
from agents.keepers import Unfit
from agents.origins import Origins
from agents.producers import Producer
from agents.settings import Settings
from agents.store import Changes, Partition, Refused, Stamp, Store
from agents.watch import WatchCore
from stream.signals import Signals, encode_signals
from tests.keepers import Row

LEDGER = "ledger:0"
SIGNALS = "driftline.signals"


class House:
    """A ledger's partition, and the watch's partition that listens to it."""

    def __init__(self, client: Redis) -> None:
        self.client, self.counters = client, Counters()
        nobody = cast(Producer, None)
        self.store = Store(client, "test")
        self.context = Context(Settings(), self.store, nobody, self.counters, {SIGNALS: 1}, {})
        self.ledger = self.store.partition("ledger", 0)
        self.watch = self.store.partition("watch", 0)

    async def tell(self) -> Stamp:
        """A checkpoint of the ledger; its stamp."""
        stamp = self.ledger.stamp
        await self.ledger.checkpoint(self.ledger.prepare(Changes(puts={"a": b""}), 1, None))
        return stamp

    async def lose(self, partition: Partition) -> None:
        """The state of a partition is gone."""
        for key in await self.client.keys(partition.key("*")):
            await self.client.delete(key)

    async def opened(self) -> WatchCore:
        await self.watch.claim()
        core = WatchCore(self.context, 0)
        await core.restore(self.watch)
        return core

    async def save(self, core: WatchCore) -> None:
        found = core.changes()
        some = Changes(puts=found.puts)
        await self.watch.checkpoint(self.watch.prepare(some, 1, None), core.confirm)

    def void(self) -> float:
        return self.counters.registry.get_sample_value("driftline_void_signals_total") or 0.0


Play = Callable[[Callable[[House], Awaitable[None]]], None]


@pytest.fixture
def play(redis_url: str) -> Play:
    async def main(scenario: Callable[[House], Awaitable[None]]) -> None:
        async with Redis.from_url(redis_url) as client:
            house = House(client)
            await house.ledger.claim()
            await scenario(house)

    return lambda scenario: asyncio.run(main(scenario))


def message(offset: int, sequence: int, stamp: Stamp | None, mark_ms: int = 0) -> Row:
    value = encode_signals(Signals("m", "1", 0, 1, sequence, mark_ms, mark_ms))
    return Row(offset, value, headers=[stamp.header()] if stamp else [])


def sequence(core: WatchCore) -> int:
    return core.watch.monitors["m/1"].memory.clocks.clocks[0].sequence


def test_what_redis_has_lost_is_passed_over(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(house: House) -> None:
        lost = await house.tell()
        await house.lose(house.ledger)
        await house.ledger.claim()
        made = await house.tell()
        core = await house.opened()
        await core.apply(house.watch, [message(0, 1, lost, 5), message(1, 1, made, 7)])
        assert core.watch.monitors["m/1"].memory.clocks.clocks[0].watermark_ms == 7
        assert house.void() == 1
        await house.save(core)

    with caplog.at_level(logging.WARNING):
        play(scenario)
    assert "passed over 1 messages from offset 0 to 0" in caplog.text


def test_messages_of_an_earlier_version_have_no_stamp_and_are_taken_in(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = await house.opened()
        await core.apply(house.watch, [message(0, 1, None), message(1, 2, None)])
        assert (sequence(core), house.void()) == (2, 0)
        await house.save(core)
        assert origins.FIELD not in await house.watch.load()

    play(scenario)


def test_redis_is_asked_only_about_what_is_new(play: Play) -> None:
    async def scenario(house: House) -> None:
        stamps = [await house.tell() for _ in range(5)]
        found = Origins(house.context)
        asked: list[str] = []
        house.store._scripts._hook = asked.append
        assert await found.sift([stamps[0]]) == [True]
        assert asked == ["before claims", "after claims"]
        assert await found.sift([*stamps, None]) == [True] * 6
        assert len(asked) == 2
        later = stamps[-1]._replace(seq=6)
        assert await found.sift([later]) == [False]
        assert len(asked) == 4

    play(scenario)


def test_nothing_is_made_durable_that_rests_on_what_was_lost(play: Play) -> None:
    async def scenario(house: House) -> None:
        stamp = await house.tell()
        core = await house.opened()
        await core.apply(house.watch, [message(0, 1, stamp)])
        await house.lose(house.ledger)
        with pytest.raises(Refused, match="ledger"):
            await house.save(core)
        again = await house.opened()
        assert again.watch.monitors == {}

    play(scenario)


def test_a_newer_message_shows_that_an_older_one_was_lost(play: Play) -> None:
    async def scenario(house: House) -> None:
        stamp = await house.tell()
        core = await house.opened()
        await core.apply(house.watch, [message(0, 1, stamp)])
        await house.lose(house.ledger)
        await house.ledger.claim()
        with pytest.raises(Refused, match="ledger"):
            await core.apply(house.watch, [message(1, 1, await house.tell())])

    play(scenario)


def test_a_watch_ahead_of_its_ledger_ends_in_words(play: Play) -> None:
    async def scenario(house: House) -> None:
        stamp = await house.tell()
        core = await house.opened()
        await core.apply(house.watch, [message(0, 1, stamp)])
        await house.save(core)
        await house.opened()
        await house.lose(house.ledger)
        with pytest.raises(Unfit, match=r"ledger:0 \(checkpoint 1\).*driftline repair"):
            await house.opened()
        await house.ledger.claim()
        await house.tell()
        with pytest.raises(Unfit, match=r"ledger:0 \(checkpoint 1\).*driftline repair"):
            await house.opened()

    play(scenario)


def test_a_checkpoint_that_is_not_applied_yet_is_tried_again_later(play: Play) -> None:
    async def scenario(house: House) -> None:
        stamp = await house.tell()
        core = await house.opened()
        await house.client.hset(house.ledger.key("meta"), "redo", "1-x")
        with pytest.raises(Refused, match="redo"):
            await core.apply(house.watch, [message(0, 1, stamp)])
        await house.client.hdel(house.ledger.key("meta"), "redo")
        core = await house.opened()
        await core.apply(house.watch, [message(0, 1, stamp)])
        assert sequence(core) == 1

    play(scenario)


def test_a_share_that_is_missing_after_a_rollback_is_no_empty_share(play: Play) -> None:
    async def scenario(house: House) -> None:
        found = Origins(house.context)
        await found.sift([await house.tell()])
        await found.doubt({LEDGER})  # nothing happened: it is gone for good
        await house.store.partition("ledger", 0).claim()
        with pytest.raises(Refused, match="ledger"):
            await found.doubt({LEDGER})

    play(scenario)


def test_what_nobody_remembers_ends_the_watch_in_words(play: Play) -> None:
    async def scenario(house: House) -> None:
        stamp = await house.tell()
        await house.client.hset(house.ledger.key("meta"), "remembered", 9)
        await house.client.delete(house.ledger.key("claims"))
        core = await house.opened()
        with pytest.raises(Unfit, match="remembers who made those from 9 on"):
            await core.apply(house.watch, [message(0, 1, stamp)])

    play(scenario)


def test_a_stamp_that_is_none_is_a_dead_letter(play: Play) -> None:
    async def scenario(house: House) -> None:
        core = await house.opened()
        bad = Row(0, b"x", headers=[("driftline-checkpoint", b"ledger:0 one two")])
        await core.apply(house.watch, [bad])
        (letter,) = core.changes().outbox
        assert dict(letter.headers)["driftline-reason"] == b"not-a-signal"

    play(scenario)


def test_damaged_bases_are_refused(play: Play) -> None:
    async def scenario(house: House) -> None:
        await house.watch.claim()
        some = Changes(puts={origins.FIELD: b"\xc1"})
        await house.watch.checkpoint(house.watch.prepare(some, 1, None))
        with pytest.raises(ValueError, match="damaged bases"):
            await house.opened()

    play(scenario)
