"""Origins: the checkpoints of ledgers that signals came from, and whether they still stand.

When Redis is rolled back, messages of checkpoints that it has lost stay in Kafka, and the ledgers
make them again, cut otherwise. The watch takes in only what comes from a checkpoint that Redis has,
and makes nothing durable that rests on one that it has lost.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import msgspec

from agents.context import Context
from agents.keepers import Unfit
from agents.store import History, Refused, Span, Stamp

FIELD = "ledgers"  # of the watch's state: the last checkpoint of each ledger that it rests on
Bases = dict[str, Stamp]


class Origins:
    """What one partition of the watch knows of the ledgers. Each new owner begins with nothing.

    bases: the newest checkpoint of each ledger that was taken in, by the ledger's partition.
    """

    def __init__(self, context: Context, bases: Bases | None = None) -> None:
        self.context = context
        self.bases: Bases = dict(bases or {})
        self._known: dict[str, History] = {}
        self._used: dict[Stamp, bool] = {}  # since the last checkpoint, and whether each stood
        self._confirming: dict[Stamp, bool] = {}
        self._saved = dict(self.bases)

    async def sift(self, stamps: Sequence[Stamp | None]) -> list[bool]:
        """Whether each message is to be taken in; what has no stamp is of an earlier version.

        Raises Refused where something taken in before does not stand any more, Unfit where Redis
        has forgotten who made a checkpoint.
        """
        told = {stamp for stamp in stamps if stamp}
        await self._learn({stamp for stamp in told if not self._decided(stamp)})
        stands = {stamp: self._known[stamp.partition].has(stamp) for stamp in told}
        self._use(stands)
        void = sum(stamp is not None and not stands[stamp] for stamp in stamps)
        if void:
            self.context.counters.void.inc(void)
        return [stamp is None or stands[stamp] for stamp in stamps]

    def _decided(self, stamp: Stamp) -> bool:
        """Whether the answer is known already: it changes only with a rollback."""
        history = self._known.get(stamp.partition)
        span = history.spans.get(stamp.owner) if history else None
        return span is not None and (stamp.seq <= span.last or not span.newest)

    async def _learn(self, stamps: set[Stamp]) -> None:
        if not stamps:
            return
        names = {stamp.partition for stamp in stamps}
        held = [self.bases[name] for name in names if name in self.bases]
        owners = _owners([*stamps, *held])
        found = await self.context.wait("watch", lambda: self.context.store.histories(owners))
        for stamp in held:
            if not found[stamp.partition].has(stamp):
                raise Refused("ledger", stamp.partition)
        for stamp in stamps:
            _check(found[stamp.partition], stamp)
        for name, history in found.items():
            before = self._known[name].spans if name in self._known else {}
            self._known[name] = history._replace(spans=before | _lasting(history))

    def _use(self, stands: dict[Stamp, bool]) -> None:
        self._used |= stands
        for stamp, stood in stands.items():
            known = self.bases.get(stamp.partition)
            if stood and (known is None or known.seq < stamp.seq):
                self.bases[stamp.partition] = stamp

    def changes(self) -> dict[str, bytes]:
        """Fields to make durable: the next checkpoint rests on all that was used until now."""
        self._confirming, self._used = self._used, {}
        if self.bases == self._saved:
            return {}
        self._saved = dict(self.bases)
        return {FIELD: msgspec.msgpack.encode(list(self.bases.values()))}

    async def confirm(self) -> None:
        """Raises Refused where a checkpoint would rest on what Redis has lost; OUTAGES."""
        if not self._confirming:
            return
        found = await self.context.store.histories(_owners(self._confirming))
        for stamp, stood in self._confirming.items():
            history = found[stamp.partition]
            if history.has(stamp) != stood or history.waits_for(stamp):
                raise Refused("ledger", stamp.partition)

    async def doubt(self, names: Collection[str]) -> None:
        """Something is not where it should be: raises Refused where these ledgers' state was
        rolled back a moment ago, and is being made whole.
        """
        known = {name: self._known[name] for name in names if name in self._known}
        owners = {name: history.spans.keys() for name, history in known.items()}
        found = await self.context.wait("watch", lambda: self.context.store.histories(owners))
        for name, history in found.items():
            if history.waits or history.owner != known[name].owner:
                raise Refused("ledger", name)


def bases_of(raw: bytes | None) -> Bases:
    """The bases of a field; none in a state of an earlier version. Raises ValueError if damaged."""
    if raw is None:
        return {}
    try:
        found = msgspec.msgpack.decode(raw, type=list[tuple[str, int, str]])
    except msgspec.DecodeError as error:
        raise ValueError(f"damaged bases of the watch: {error}") from error
    return {name: Stamp(name, seq, owner) for name, seq, owner in found}


async def check(context: Context, where: str, bases: Bases) -> None:
    """Raises Unfit where a watch rests on checkpoints that their ledgers have lost.

    One Redis loses both alike; this takes shards that are rolled back one by one.
    """
    if not bases:
        return
    owners = _owners(bases.values())
    found = await context.wait("watch", lambda: context.store.histories(owners))
    lost = [s for s in bases.values() if found[s.partition].knows(s) and not _has(found, s)]
    if lost:
        told = ", ".join(f"{s.partition} (checkpoint {s.seq})" for s in lost)
        raise Unfit(
            f"{where}: the watch has counted what its ledgers have lost: {told}. Redis was rolled "
            "back in part, so that its partitions contradict each other; driftline repair says "
            "what can be done"
        )


def _has(found: dict[str, History], stamp: Stamp) -> bool:
    return found[stamp.partition].has(stamp)


def _lasting(history: History) -> dict[str, Span]:
    """What may be kept: not whether a checkpoint stands that is still to be applied."""
    if not history.waits:
        return history.spans
    most = history.seq - 1
    return {
        owner: Span(span.first, most, newest=True) if span.last > most else span
        for owner, span in history.spans.items()
    }


def _check(history: History, stamp: Stamp) -> None:
    """Raises Unfit where nothing can be told, Refused where it is too early to."""
    if not history.knows(stamp):
        raise Unfit(
            f"a message of {stamp.partition} is of its checkpoint {stamp.seq}, and Redis remembers "
            f"who made those from {history.remembered} on: the watch is too far behind its ledgers "
            "to tell whether they have lost it; driftline repair says what can be done"
        )
    if history.waits_for(stamp):
        raise Refused("redo", stamp.partition)


def _owners(stamps: Iterable[Stamp]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for stamp in stamps:
        found[stamp.partition].add(stamp.owner)
    return dict(found)
