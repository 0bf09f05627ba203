"""Works: what a repair needs at hand, and what it is going to do."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from agents.clusters import Cluster
from agents.repair.groups import Group
from agents.repair.losses import FIELD, Loss, noted
from agents.repair.surveys import Survey, with_members
from agents.settings import Settings
from agents.store import Changes, Limits, Partition, Refused, Store, Unusable
from agents.visits import visited

MAX_VALUE_BYTES = 64 * 2**20
EVERY_BODY = 1_000_000  # of an outbox: a repair has to see all of it


class Refusal(Exception):
    """The repair cannot be done now; the message says why, and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done and what is lost by it, in words; `act` does it. No steps: nothing is
    wrong that this repair could make right.
    """

    steps: Sequence[str]
    losses: Sequence[Loss] = ()
    notes: Sequence[str] = ()
    act: Callable[[], Awaitable[None]] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """A deployment none of whose workers runs. again: repair also what looks right."""

    settings: Settings
    store: Store
    group: Group
    survey: Survey
    again: bool = False

    def partitions(self, stage: str) -> int:
        """How many partitions of a stage have a state, or will have one."""
        topic = {"ledger": "events", "watch": "signals"}[stage]
        there = sum(one.stage == stage for one in self.survey.stages)
        return self.survey.counts().get(topic, there)

    async def claim(self, stage: str, number: int) -> Partition:
        """A partition, claimed: what was committed is applied, and nobody else may write."""
        partition = self.store.partition(stage, number)
        await partition.claim()
        return partition

    async def note(self, losses: Sequence[Loss]) -> None:
        """Remember what is given up, before it is."""
        if losses:
            partition = await self.claim("ledger", 0)
            raw = (await partition.get_many([FIELD]))[0]
            await write(partition, Changes(puts={FIELD: noted(raw, losses)}))


async def write(
    partition: Partition, changes: Changes, next_: int | None = None, identity: str | None = None
) -> None:
    """One checkpoint. Raises Refusal where a worker has claimed the partition meanwhile."""
    try:
        await partition.checkpoint(partition.prepare(changes, next_, identity))
    except Refused as refusal:
        raise Refusal(f"{refusal}: a worker runs. Stop all workers first") from refusal


@asynccontextmanager
async def at_work(settings: Settings, *, again: bool = False) -> AsyncIterator[Work]:
    """All that a repair needs. Raises Refusal, ConnectionError, Unusable, LookupError."""
    if await Cluster(settings.kafka).is_mock():
        raise Refusal("this is an embedded Kafka, which forgets all at its end: start it anew")
    found = await with_members(settings)
    if found.redis:
        raise Unusable(found.redis)
    if found.members:
        raise Refusal(
            f"{len(found.members)} workers of group {settings.kafka.group_id} run "
            f"({', '.join(found.members[:5])}): stop them first. One that was killed counts for "
            f"{settings.kafka.session_timeout_s:.0f} s more"
        )
    async with visited(settings) as (client, _):
        limits = Limits(value_bytes=MAX_VALUE_BYTES, outbox_bodies=EVERY_BODY)
        store = Store(client, settings.redis.key_prefix, limits)
        yield Work(settings, store, Group(settings.kafka), found, again)
