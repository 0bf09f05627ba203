"""The internal log of rows is another one, was cut off, or has lost what was still to be read.

Every row says which source record it comes from, and every ledger knows the last one that it has
counted. So ledgers go on at the log's end, and intake begins again behind the lowest of their
marks: what one of them has already is dropped by it. Exact as far as the source topics go back.
"""

import functools
from collections.abc import Mapping, Sequence

from agents.chunks import TP
from agents.repair.judgements import SKIP, SOURCES
from agents.repair.surveys import Source, Stage, lowest
from agents.repair.works import Plan, Refusal, Work, write
from agents.store import Changes
from stream.sources import Sources
from stream.states import sources_in


async def plan(work: Work) -> Plan:
    """Where ledgers and intake are to go on. Raises Refusal where the log is too narrow."""
    count = work.partitions("ledger")
    stages = [one for one in work.survey.stages if one.stage == "ledger"]
    broken = [one for one in stages[:count] if one.wrong or work.again]
    if not broken:
        return Plan(())
    check_width(broken, count)
    for one in broken:
        await work.claim("ledger", one.log.partition)  # what was committed is applied now
    marks = await _marks(work, broken)
    offsets = {
        TP(s.log.topic, s.log.partition): start
        for s in work.survey.sources
        if _same(s) and (start := _start(s, marks)) is not None
    }
    steps = [
        f"{one.log.where}: the ledger goes on at its end, offset {one.log.end} (was {one.next})"
        for one in broken
    ]
    steps += [
        f"{s.log.where}: is taken in again from offset {at} on (was {s.log.committed}); what was "
        "counted is not counted twice"
        for s in work.survey.sources
        if (at := offsets.get(TP(s.log.topic, s.log.partition))) is not None
        and at != s.log.committed
    ]
    act = functools.partial(_act, work, broken, offsets)
    return Plan(steps, notes=list(_notes(work, offsets)), act=act)


def check_width(broken: Sequence[Stage], count: int) -> None:
    """Raises Refusal where the topic that is there has fewer partitions than the state."""
    log = broken[0].log
    if log.partitions < count:
        raise Refusal(
            f"topic {log.topic} has {log.partitions} partitions, the state in Redis was made with "
            f"{count}: kafka-topics.sh --alter --topic {log.topic} --partitions {count}, and again"
        )


async def _marks(work: Work, broken: Sequence[Stage]) -> list[Sources]:
    """The marks of the broken ledgers; one without a state has counted nothing."""
    found = []
    for one in broken:
        partition = work.store.partition("ledger", one.log.partition)
        raw = (await partition.get_many(["ledger"]))[0]
        found.append(Sources() if raw is None else sources_in(raw))
    return found


def _same(source: Source) -> bool:
    """Whether the marks are about the topic that is there now."""
    return not {one for one in source.ids if one} - {source.log.topic_id}


def _start(source: Source, marks: Sequence[Sources]) -> int | None:
    """Where to take in from: never forward. None where nothing was ever taken in."""
    low, committed = lowest(marks, source.log), source.log.committed
    if low is None:
        return None if committed is None else 0
    return low + 1 if committed is None else min(low + 1, committed)


def _notes(work: Work, offsets: Mapping[TP, int]) -> list[str]:
    notes = []
    for source in work.survey.sources:
        log = source.log
        start = offsets.get(TP(log.topic, log.partition))
        if not _same(source):
            notes.append(f"{log.where} was made anew too: run {SOURCES} next")
        elif start is not None and start < log.begin:
            notes.append(
                f"{log.where}: not all ledgers have counted records {start} to {log.begin - 1}, "
                f"and Kafka has dropped them: run {SKIP} next to go on without them"
            )
    return notes


async def _act(work: Work, broken: Sequence[Stage], offsets: Mapping[TP, int]) -> None:
    count = work.partitions("ledger")
    ends = {TP(one.log.topic, one.log.partition): one.log.end for one in broken}
    await work.group.commit({**offsets, **ends})  # first: begun again, it finds the same marks
    for one in broken:
        partition = await work.claim("ledger", one.log.partition)
        await write(partition, Changes(), one.log.end, f"{one.log.topic_id}:{count}")
