"""What a crew has left behind, compared with what the pipeline in memory says it should be."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from stream.entries import Tables, unpack_entry
from stream.ledger import Ledger
from stream.pipeline import Pipeline, State
from stream.watch import Watch
from tests.crews import LEDGER_TPS, TPS, Crew, Hand
from tests.stories import CONFIG, WATCHED
from tests.worlds import pending

OUT = ("evaluations", "alerts", "retrain-requests")
ORDERED = ("truths-before-predictions",)  # counts that depend on what came first


def check(crew: Crew, expected: Pipeline) -> None:
    """Raises AssertionError at the first difference."""
    _check_published(crew, expected)
    found = [crew.hands["Z"].runner.run(_state(crew.hands["Z"], i)) for i in range(len(TPS))]
    for ledger, state, other in zip(expected.ledgers, found, expected.stored, strict=False):
        _check_ledger(ledger, state, other, expected)
    assert _watched(found[-1].fields) == _watched(expected.watched.fields)


def _check_published(crew: Crew, expected: Pipeline) -> None:
    """The ids are those expected, and all that is said under one id is the same."""
    for topic in OUT:
        bodies = _by_id(crew.logs.values(CONFIG.topics.name(topic)))
        told = _by_id([m.value for m in expected.published if m.topic == topic])
        assert bodies.keys() == told.keys(), topic
        for key, body in bodies.items():
            assert body == told[key], f"{topic}: {key} is told in {len(body)} ways"
    assert crew.logs.values(CONFIG.topics.name("dead-letters")) == []


def _by_id(values: list[bytes]) -> dict[str, set[bytes]]:
    found: dict[str, set[bytes]] = defaultdict(set)
    for value in values:
        found[json.loads(value)["id"]].add(value)
    return found


async def _state(hand: Hand, number: int) -> State:
    """All that Redis holds of a partition."""
    hand.tp = TPS[number]
    partition = (await hand.keeper()).partition
    found = State(await partition.load())
    if hand.tp in LEDGER_TPS:
        found.pending = await pending(partition, enough=1)
        assert partition.pending_count == len(found.pending)
    assert partition.backlog == 0
    return found


def _check_ledger(ledger: Ledger, state: State, other: State, expected: Pipeline) -> None:
    """Shares byte by byte; what lies behind numbers by what the numbers stand for."""
    shares = ("inputs/", "quality/", "open-", "book-panes/")
    mine, theirs = (
        {field: raw for field, raw in s.fields.items() if field.startswith(shares)}
        for s in (state, other)
    )
    assert mine == theirs
    restored = Ledger(ledger.partition, ledger.partitions, lambda _: WATCHED)
    restored.restore(state.fields, expected.references)
    assert _entries(state.pending, restored) == _entries(other.pending, ledger)
    assert restored.matches.pending == len(state.pending)
    assert _marks(restored) == _marks(ledger)


def _entries(pending: Mapping[int, bytes], ledger: Ledger) -> dict[int, Any]:
    tables = ledger.matches.tables
    return {key: _named(unpack_entry(raw, tables), tables) for key, raw in pending.items()}


def _named(entry: Any, tables: Tables) -> Any:
    """An entry with the names of its subjects, in an order that does not depend on them."""
    items = [*entry.forecasts, *entry.labels]
    return sorted(repr((tables.subjects.word(item.subject), item)) for item in items)


def _marks(ledger: Ledger) -> Any:
    """What was applied of the source partitions, and how far event time has come.

    The topic of control events is named otherwise in the pipeline; since when silent partitions
    are waited for depends on the chunks.
    """
    applied = {s: m.offset for s, m in ledger.sources.marks.items() if "control" not in s[0]}
    clocks = [ledger.shelf.truths["m"], *ledger.shelf]
    fronts = [dataclasses.replace(clock.front, since_ms=None) for clock in clocks]
    return applied, fronts, ledger.shelf.truths["m"].sources


def _watched(fields: Mapping[str, bytes]) -> dict[str, Any]:
    """The watch's state: all but the numbers of messages, which depend on the checkpoints."""
    found: dict[str, Any] = {}
    for field, raw in fields.items():
        kind = field.split("/")[0]
        if kind == "monitor":
            found[field] = _progress(raw)
        elif kind == "alerts":  # of inputs and of quality, whichever track came first
            found[field] = msgspec.msgpack.decode(raw, strict=False)
        elif kind == "detector" or kind.startswith(("names-", "fact-")):
            found[field] = raw
    return found


def _progress(raw: bytes) -> dict[str, Any]:
    watch = Watch(lambda _: WATCHED)
    watch.restore({"monitor/m/1": raw})
    memory = watch.monitors["m/1"].memory
    counts = {reason: n for reason, n in memory.counts.items() if reason not in ORDERED}
    tracks = {kind: (t.fed_ms, t.late, t.refused) for kind, t in memory.tracks.items()}
    watched = [(w.cause, w.pulses, w.scale, w.rebuilt) for w in memory.watched]
    return {
        "progress": {kind: msgspec.to_builtins(p) for kind, p in memory.progress.items()},
        "low": {kind: memory.low_ms(kind) for kind in ("inputs", "quality")},
        "counts": counts,
        "tracks": tracks,
        "watched": watched,
        "retraining": memory.retraining,
        "active": memory.active,
        "owner": memory.owner,
    }
