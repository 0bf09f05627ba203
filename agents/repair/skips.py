"""Records of source topics that Kafka dropped before they were taken in: given up, and said so."""

import functools
import time
from collections.abc import Sequence

from agents.chunks import TP
from agents.repair.judgements import SKIP
from agents.repair.losses import Loss
from agents.repair.surveys import Source
from agents.repair.works import Plan, Work
from stream.events import rfc3339


async def plan(work: Work) -> Plan:
    """What is given up."""
    broken = [s for s in work.survey.sources if s.wrong and s.wrong.command == SKIP]
    now = rfc3339(int(time.time() * 1_000))
    losses = [_loss(source, now) for source in broken]
    steps = [f"{s.log.where}: intake goes on at offset {s.log.begin}" for s in broken]
    return Plan(steps, losses, act=functools.partial(_act, work, broken, losses))


def _loss(source: Source, now: str) -> Loss:
    log = source.log
    first = source.needed
    return Loss(
        topic=log.topic,
        partition=log.partition,
        records=log.begin - first,
        about=f"records {first} to {log.begin - 1}",
        time=now,
    )


async def _act(work: Work, broken: Sequence[Source], losses: Sequence[Loss]) -> None:
    await work.note(losses)
    await work.group.commit({TP(s.log.topic, s.log.partition): s.log.begin for s in broken})
