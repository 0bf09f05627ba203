"""The signals are another topic, were cut off, or have lost what the watch had not read.

The watch goes on at the first message that is there. What the ledgers told it before and it never
heard is gone, but not what it was about: see `stream.resumptions`.
"""

import asyncio
import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from agents.chunks import TP
from agents.origins import FIELD, bases_of
from agents.repair.judgements import Log
from agents.repair.logs import read
from agents.repair.losses import Loss
from agents.repair.rows import check_width
from agents.repair.surveys import Stage, stood_of
from agents.repair.works import Plan, Work, write
from agents.store import Changes, Damaged, Partition, Stamp, stamp_of
from stream.books import model_key
from stream.events import rfc3339
from stream.hashes import id_hash
from stream.ledger import Ledger
from stream.panes import BEFORE_ALL
from stream.references import Reference
from stream.resumptions import SHARES, Hole, Standing, close, concerns, holes, key_of
from stream.signals import decode_signals
from stream.watch import Watch

EVERY = 10**9
Waiting = dict[tuple[str, int], set[int]]  # sequences by key and ledger partition


@dataclasses.dataclass(slots=True)
class Told:
    """One partition of the watch: where it goes on, and what it will not hear.

    bases: checkpoints of ledgers that it rests on and that Redis has; lost_bases: how many it
    rests on that Redis has lost.
    """

    stage: Stage
    next: int
    partition: Partition
    watch: Watch
    holes: list[Hole]
    bases: list[Stamp]
    lost_bases: int

    @property
    def wrong(self) -> bool:
        """Whether there is anything to be done."""
        return bool(self.holes or self.stage.wrong or self.lost_bases)


async def plan(work: Work) -> Plan:
    """Where the watch goes on, and what is lost. Raises Refusal where the topic is too narrow."""
    count = work.partitions("watch")
    stages = [s for s in work.survey.stages if s.stage == "watch" and s.log.partition < count]
    broken = [one for one in stages if one.wrong]
    if broken:
        check_width(broken, count)
    standings, waiting = await _standings(work)
    told = [await _told(work, one, standings, waiting, count) for one in stages]
    affected = [one for one in told if one.wrong]
    now = rfc3339(int(time.time() * 1_000))
    losses = [_loss(one, hole, now) for one in affected for hole in one.holes if hole.lost]
    steps = [_step(one) for one in affected]
    notes = [
        "what ledgers have sealed is named again, so every window is judged; only values of these "
        "messages for online detectors are gone"
    ]
    act = functools.partial(_act, work, affected, losses, count)
    return Plan(steps, losses, notes if losses else (), act)


def _step(told: Told) -> str:
    log = told.stage.log
    where = f"{log.where}: the watch goes on at offset {told.next} (was {told.stage.next})"
    return f"{where}; what was told it before and never read is told again, but for single values"


def _loss(told: Told, hole: Hole, now: str) -> Loss:
    book, number = hole.standing.book, hole.standing.partition
    return Loss(
        topic=told.stage.log.topic,
        partition=told.stage.log.partition,
        records=hole.lost,
        about=f"messages {hole.first} to {hole.last} of ledger {number} about {book.model} "
        f"{book.version}",
        time=now,
    )


async def _standings(work: Work) -> tuple[list[Standing], Waiting]:
    """What all ledgers know, and what of theirs is not in Kafka yet."""
    found: list[Standing] = []
    waiting: Waiting = {}
    count, references = work.partitions("ledger"), dict[str, Reference]()
    for number in range(count):
        partition = await work.claim("ledger", number)
        fields = await partition.load()
        for ref in Ledger.references_in(fields) - set(references):
            references[ref] = await _reference(work, ref)
        ledger = Ledger(number, count, work.settings.model)
        ledger.restore(fields, references)
        found += _told_by(ledger, fields, waiting)
        for _, message in await partition.outbox(limit=EVERY):
            if message.topic == "signals":
                _note(message.value, waiting)
    return found, waiting


async def _reference(work: Work, ref: str) -> Reference:
    raw = await work.store.get_reference(ref)
    if raw is None:
        raise Damaged(f"reference {ref} is not in Redis")
    return Reference.from_bytes(raw)


def _told_by(ledger: Ledger, fields: Mapping[str, bytes], waiting: Waiting) -> Iterator[Standing]:
    sealed: dict[str, dict[str, bytes]] = {}
    for field, raw in fields.items():
        if field.startswith(SHARES):
            sealed.setdefault(key_of(field), {})[field] = raw
    for book in ledger.shelf:
        truths = ledger.shelf.truths.get(book.model)
        yield Standing(
            book,
            ledger.partition,
            ledger.partitions,
            truths.watermark_ms if truths else BEFORE_ALL,
            sealed.get(book.key, {}),
            waiting.setdefault((book.key, ledger.partition), set()),
        )


def _note(raw: bytes, waiting: Waiting) -> None:
    signals = decode_signals(raw)
    at = (model_key(signals.model, signals.version), signals.partition)
    waiting.setdefault(at, set()).add(signals.sequence)


async def _told(
    work: Work, stage: Stage, standings: Sequence[Standing], waiting: Waiting, count: int
) -> Told:
    number = stage.log.partition
    partition = await work.claim("watch", number)
    watch, fields = Watch(work.settings.model), await partition.load()
    bases = bases_of(fields.pop(FIELD, None))
    stood = await stood_of(work.store, bases.values())
    watch.restore(fields)
    at = stage.log.begin if stage.wrong or stage.next is None else stage.next
    at = await _wait_for(work, stage.log, at, waiting)
    mine = [one for one in standings if id_hash(one.book.model, "") % count == number]
    kept = [stamp for stamp in bases.values() if stood[stamp]]
    return Told(stage, at, partition, watch, holes(watch, mine), kept, len(bases) - len(kept))


async def _wait_for(work: Work, log: Log, start: int, waiting: Waiting) -> int:
    """Note what is still to be read from a position on; the position.

    What is of checkpoints that Redis has lost is made again. Where that cannot be told of one,
    nothing of the log is trusted, and the position is its end.
    """
    found = await asyncio.to_thread(list, read(work.settings.kafka, log, start))
    signals: list[tuple[Stamp | None, bytes]] = []
    for one in found:
        with contextlib.suppress(ValueError):  # the worker makes a dead letter of it
            signals.append((stamp_of(one.headers), one.value))
    stood = await stood_of(work.store, {stamp for stamp, _ in signals if stamp})
    if None in stood.values():
        return log.end
    for stamp, value in signals:
        if stamp is None or stood[stamp]:
            with contextlib.suppress(ValueError):
                _note(value, waiting)
    return start


async def _act(work: Work, affected: Sequence[Told], losses: Sequence[Loss], count: int) -> None:
    await work.note(losses)
    events = await asyncio.to_thread(_control_events, work) if losses else []
    for one in affected:
        for hole in one.holes:
            own = (raw for raw, event in events if concerns(event, hole.standing.book))
            close(one.watch, hole, tuple(own) if hole.lost else ())
        found = one.watch.changes()
        assert not found.outbox, "nothing was judged yet"
        log = one.stage.log
        bases = {FIELD: msgspec.msgpack.encode(one.bases)}
        changes = Changes(puts=found.puts | bases, deletes=found.deletes)
        await write(one.partition, changes, one.next, f"{log.topic_id}:{count}")
    await work.group.commit(
        {TP(one.stage.log.topic, one.stage.log.partition): one.next for one in affected}
    )


def _control_events(work: Work) -> list[tuple[bytes, dict[str, Any]]]:
    """What retraining systems have said so far: kept for ever, and harmless when said again."""
    found = []
    for source in work.survey.sources:
        if source.log.topic == work.settings.topics.name("control"):
            for one in read(work.settings.kafka, source.log, source.log.begin):
                with contextlib.suppress(msgspec.DecodeError):
                    event = msgspec.json.decode(one.value)
                    if isinstance(event, dict):
                        found.append((one.value, event))
    return found
