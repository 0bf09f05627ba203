"""Source records that Kafka dropped before they were taken in end the worker, at any time."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest

from agents.chunks import TP, Chunk
from agents.context import Context
from agents.counters import Counters
from agents.gaps import Gaps
from agents.keepers import Missing
from agents.settings import Settings
from tests.keepers import Row

HERE = TP("predictions", 1)


def gaps(committed: int | None, log_start: int = 0) -> Gaps:
    nothing = cast(Any, None)
    context = Context(Settings(), nothing, nothing, Counters(), {}, {})

    async def where(tps: Collection[TP]) -> Mapping[TP, int]:
        return {} if committed is None else dict.fromkeys(tps, committed)

    async def start(_: TP) -> int:
        return log_start

    context.committed, context.log_start = where, start
    return Gaps(context)


def play(found: Gaps, *spans: tuple[int, int]) -> None:
    async def scenario() -> None:
        for base, after in spans:
            records = [Row(offset) for offset in range(base, after)]
            await found.check(Chunk(*HERE, records, base, after))

    asyncio.run(scenario())


@pytest.mark.parametrize("committed", [None, 0, 3, 7])
def test_where_nothing_is_missing_nothing_is_said(committed: int | None) -> None:
    play(gaps(committed), (0 if committed is None else committed, 9), (9, 10), (10, 15))


def test_what_was_dropped_while_all_workers_were_stopped() -> None:
    with pytest.raises(Missing, match=r"predictions/1: records 3 to 9 \(7\).*repair skip$"):
        play(gaps(3, log_start=10), (10, 12))


def test_what_was_dropped_while_a_worker_was_slow() -> None:
    with pytest.raises(Missing, match=r"records 5 to 9 \(5\).*repair skip$"):
        play(gaps(3), (3, 5), (10, 12))


def test_a_log_that_was_cut_off() -> None:
    with pytest.raises(Missing, match=r"up to offset 5, .* goes on at 2.*repair sources$"):
        play(gaps(3), (3, 5), (2, 4))


def test_a_commit_that_failed_is_no_gap() -> None:
    play(gaps(3, log_start=0), (7, 9))


def test_a_new_assignment_begins_where_the_group_is() -> None:
    found = gaps(3)
    play(found, (3, 5))
    found.forget(HERE)
    play(found, (3, 9))
