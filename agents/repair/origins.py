"""A source topic is another one of the same name, or its log was cut off.

The ledgers' marks of the topic that was there are closed: what is still on its way from it is
judged by them, and what the new topic holds is counted from its first record on. Nothing is counted
twice, and nothing is lost but what nobody had taken in when the topic went.
"""

import functools
from collections.abc import Sequence

from agents.chunks import TP
from agents.repair.judgements import SOURCES
from agents.repair.surveys import Source
from agents.repair.works import Plan, Work, write
from agents.store import Changes
from stream.states import sources_in, with_sources


async def plan(work: Work) -> Plan:
    """Which topics are accepted."""
    broken = [s for s in work.survey.sources if s.wrong and s.wrong.command == SOURCES]
    steps = [f"{s.log.where}: {_step(s)}" for s in broken]
    return Plan(steps, act=functools.partial(_act, work, broken))


def _step(source: Source) -> str:
    if _cut(source):
        return f"what was cut off stays counted; offset {source.log.end} on is new again"
    return f"topic id {source.log.topic_id} is accepted, and taken in from its first record on"


def _cut(source: Source) -> bool:
    return not {one for one in source.ids if one} - {source.log.topic_id}


async def _act(work: Work, broken: Sequence[Source]) -> None:
    for number in range(work.partitions("ledger")):
        partition = await work.claim("ledger", number)
        raw = (await partition.get_many(["ledger"]))[0]
        if raw is not None:
            await write(partition, Changes(puts={"ledger": _accepted(raw, broken)}))
    await work.group.commit({TP(s.log.topic, s.log.partition): _start(s) for s in broken})


def _accepted(raw: bytes, broken: Sequence[Source]) -> bytes:
    sources = sources_in(raw)
    for source in broken:
        at = (source.log.topic, source.log.partition)
        if _cut(source) and at in sources.marks:
            sources.marks[at].offset = min(sources.marks[at].offset, source.log.end - 1)
        else:
            sources.accept(at, source.log.topic_id)
    return with_sources(raw, sources)


def _start(source: Source) -> int:
    return source.log.end if _cut(source) else source.log.begin
