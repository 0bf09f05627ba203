"""Receiving: what a message from a ledger partition changes in a monitor's memory."""

import dataclasses
from collections.abc import Iterable

import msgspec

from stream.events import (
    Limits,
    ModelRegistered,
    Recalibration,
    Rejected,
    Retraining,
    decode_control,
)
from stream.monitor.memory import KINDS, SEALED, Memory
from stream.retraining import RANKS, Answer, Progress, answered
from stream.signals import Kind, ShareName, Signals

MAX_COUNTS = 100  # kinds of rows that were counted only


def receive(m: Memory, signals: Signals) -> bool:
    """Take in a message; False for one that was there. Raises `stream.clocks.Gap`."""
    if not m.clocks.accept(signals):
        return False
    m.touched = True
    m.clocks.update(signals)
    _activate(m, signals)
    for kind in SEALED:
        _named(m, kind, m.windows[kind].name(signals.sealed))
    _late(m, signals.sealed)
    _hold(m, signals)
    for reason, rows in signals.counts.items():
        if reason in m.counts or len(m.counts) < MAX_COUNTS:
            m.counts[reason] = m.counts.get(reason, 0) + rows
    for raw in signals.control:
        _control(m, raw)
    return True


def _activate(m: Memory, signals: Signals) -> None:
    """Take in active references; forget those that another replaced before all that is kept.

    One made of first rows gives way to one that was registered while it was on its way.
    """
    used = {ref for _, ref in m.active}
    if len(used) < 2 and {*signals.active} <= {*m.active} and m.references.keys() <= used:
        return  # as nearly always
    own = m.first if m.first not in signals.active else None
    if own and any(since <= own[0] for since, _ in signals.active):
        m.active = [one for one in m.active if one != own]
    found = sorted({*m.active, *signals.active})
    oldest = m.kept_from("inputs")
    newer = [since for since, _ in found[1:]]
    m.active = [one for one, until in zip(found, newer, strict=False) if until > oldest]
    m.active += found[-1:]
    known = {ref for _, ref in m.active}
    named = {n.reference for names in m.windows["inputs"].named.values() for n in names}
    for ref in set(m.references) - known - named:
        del m.references[ref]
        m.needs = {key: found for key, found in m.needs.items() if key[0] != ref}


def _named(m: Memory, kind: Kind, panes: list[int]) -> None:
    for pane in panes:
        names = [dataclasses.astuple(n) for n in sorted(m.windows[kind].named[pane])]
        m.changes.put(f"names-{kind}/{m.key}/{pane}", msgspec.msgpack.encode(names))
        of: Kind = "inputs" if kind == "answers" else kind
        if pane + m.pane_ms <= m.progress[of].done_ms and pane in m.windows[of].named:
            m.progress[of].late.add(pane + m.pane_ms)
        if kind == "inputs" and m.ages is not None:
            m.ages.name(pane, m.windows[kind].rows(pane))


def _late(m: Memory, sealed: Iterable[ShareName]) -> None:
    """Remember which outcomes are still to be counted of panes that have been."""
    done = m.progress["quality"].done_ms
    late = {n for n in sealed if n.kind == "quality" and n.pane + m.pane_ms <= done}
    if late and m.ages is not None:
        m.ages.late |= late
        m.ages.touched = True


def _hold(m: Memory, signals: Signals) -> None:
    """Keep values for the detectors, in memory and as a field of their own."""
    at = (signals.partition, signals.sequence)
    held = [m.tracks[kind].hold(*at, signals.series) for kind in KINDS]
    if any(held):
        m.fresh[at] = signals


def held_field(m: Memory, partition: int, sequence: int) -> str:
    """Where the values of a message are kept until they are fed."""
    return f"held/{m.key}/{partition}-{sequence}"


def _control(m: Memory, raw: bytes) -> None:
    try:
        event = decode_control(raw, None, -1, Limits(max_bytes=len(raw)))
    except Rejected:  # the ledger has said so
        return
    if isinstance(event, ModelRegistered) and event.time >= m.owner_ms:
        m.owner, m.owner_ms = event.owner or m.owner, event.time
    elif isinstance(event, Retraining):
        said: Progress = event.type.removeprefix("retraining-")  # type: ignore[assignment]
        assert said in RANKS
        before = m.retraining
        m.retraining = answered(before, Answer(event.request_id, said, event.time))
        if said == "finished" and m.retraining != before:
            _answered(m, event.new_version or m.version)
    elif isinstance(event, Recalibration):
        m.learnt.update(event, m.kept_from("inputs"))


def _answered(m: Memory, version: str) -> None:
    """Note which version a request led to. One that kept its name cannot be told from before."""
    asked = m.loop.asked
    if asked is not None and asked.request_id == m.retraining.request_id:
        led = asked.claims and version != m.version
        m.loop.ask(msgspec.structs.replace(asked, answer=version) if led else None)
