"""State: a monitor's memory as fields of its partition, and back.

"monitor/KEY" changes with every message, "alerts/KEY" with evaluations; names, facts, held values
and detectors have fields of their own, so that a checkpoint writes what has changed.
"""

import dataclasses
import urllib.parse
from collections.abc import Callable
from typing import Any, cast

import msgspec

from stream.ages import Ages
from stream.alerts import AlertState
from stream.changes import Changes
from stream.clocks import Clocks
from stream.events import Reading
from stream.groups import Group
from stream.monitor.memory import KINDS, Fact, Memory, Shown
from stream.monitor.receiving import held_field
from stream.panes import BEFORE_ALL
from stream.pauses import Pauses
from stream.retraining import RetrainState
from stream.settings import ModelSettings
from stream.signals import Kind, LabelQuiet, ShareName, Signals, decode_signals, encode_signals
from stream.tracks import Pulse
from stream.trials import Asked, Trial
from stream.vintages import Vintages

FORMAT = 1
TRUTH = ("ages", "vintage", "later", "labelling", "stint", "learnt", "course", "lessons")
COUNTED = 2  # with pulses that are counted: an earlier release would take them for something else
TAUGHT = 3  # with what scores mean by live labels: an earlier release would go on with the old ones


class _Labelling(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    pauses: tuple[int, ...]
    form: tuple[int, int]
    open_ms: int | None
    quiets: dict[int, LabelQuiet]


def note_fact(m: Memory, kind: Kind, pane: int) -> None:
    """Remember where a pane's rows lie and, for quality, which cohorts they are of."""
    windows = m.windows[kind]
    cohorts = windows.panes[pane].cohorts.panes if pane in windows.panes else []
    sources = windows.sources(pane, m.references)
    fact = Fact(sources, min(cohorts, default=pane), max(cohorts, default=pane))
    m.progress[kind].facts[pane] = fact
    rows = [(*source, *offsets) for source, offsets in sorted(sources.items())]
    packed = msgspec.msgpack.encode((fact.first, fact.last, rows))
    m.changes.put(f"fact-{kind}/{m.key}/{pane}", packed)


def forget(m: Memory, kind: Kind) -> None:
    """Forget what lies too far back for any window, and for any request."""
    done, before = m.progress[kind].done_ms, m.kept_from(kind)
    whole = not m.collects or kind == "quality"
    reach_ms = _reach_ms(m, kind)
    if kind == "quality" and m.course is not None and not m.collects:
        judged_ms = m.progress["inputs"].done_ms - _reach_ms(m, "inputs")
        m.windows["inputs"].drop(min(judged_ms, done - reach_ms))
    for pane in m.windows[kind].forget(done - reach_ms if whole else before, before):
        m.progress[kind].facts.pop(pane, None)
        m.progress[kind].revisions.pop(pane + m.pane_ms, None)
        m.changes.delete(f"fact-{kind}/{m.key}/{pane}")
        m.changes.delete(f"names-{kind}/{m.key}/{pane}")
        if kind == "inputs" and m.ages is not None:
            m.ages.forget_name(pane)
    if kind == "inputs":
        for pane in m.windows["answers"].forget(done - m.longest_ms, before):
            m.changes.delete(f"names-answers/{m.key}/{pane}")
    oldest = m.kept_from("inputs")
    m.history = {
        window_s: {end: seen for end, seen in known.items() if end > oldest}
        for window_s, known in m.history.items()
        if window_s in m.settings.windows_s
    }


def _reach_ms(m: Memory, kind: Kind) -> int:
    return max(m.reach_ms(kind), m.reached_ms if kind == "inputs" else 0)


def save(m: Memory) -> Changes:
    """Everything since the last call, with what is to be published, in order."""
    changes, m.changes = m.changes, Changes()
    changes.outbox, m.out = m.out, []
    for at, told in m.fresh.items():
        whose = (m.model, m.version, told.partition, told.partitions, told.sequence)
        changes.put(held_field(m, *at), encode_signals(Signals(*whose, series=told.series)))
    m.fresh = {}
    for watched in m.watched:
        if watched.dirty:
            changes.put(_detector_field(m, watched.cause), watched.detector.snapshot())
            watched.dirty = False
    if m.touched:
        changes.put(f"monitor/{m.key}", msgspec.msgpack.encode(_progress(m)))
    if m.ages is not None and m.ages.touched:
        changes.put(f"ages/{m.key}", m.ages.to_bytes())
    for start, raw in m.vintages.save() if m.vintages is not None else ():
        if raw is None:
            changes.delete(f"vintage/{m.key}/{start}")
        else:
            changes.put(f"vintage/{m.key}/{start}", raw)
    _save_later(m, changes)
    _save_loop(m, changes)
    _save_labelling(m, changes)
    if m.judged:
        changes.put(f"alerts/{m.key}", msgspec.msgpack.encode(_alerts(m)))
    _save_learnt(m, changes)
    m.touched = m.judged = False
    return changes


def _save_learnt(m: Memory, changes: Changes) -> None:
    if m.learnt.changed:
        changes.put(f"learnt/{m.key}", m.learnt.to_bytes())
    if m.course is not None and m.course.changed:
        changes.put(f"course/{m.key}", m.course.to_bytes())
    if m.course is not None and m.course.lessons.changed:
        changes.put(f"lessons/{m.key}", m.course.lessons.to_bytes())


def _save_later(m: Memory, changes: Changes) -> None:
    for start, raw in m.vintages.save_later() if m.vintages is not None else ():
        if raw is None:
            changes.delete(f"later/{m.key}/{start}")
        else:
            changes.put(f"later/{m.key}/{start}", raw)


def _save_loop(m: Memory, changes: Changes) -> None:
    loop = m.loop
    if loop.changed and loop.asked is not None:
        changes.put(f"asked/{m.key}", loop.asked.to_bytes())
    elif loop.changed:
        changes.delete(f"asked/{m.key}")
    if loop.trial is not None and loop.trial.touched:
        changes.put(f"trial/{m.key}", loop.trial.to_bytes())
    loop.changed = False


def _save_labelling(m: Memory, changes: Changes) -> None:
    stints = m.stints
    if stints is None or not (m.touched or stints.changed):
        return
    if m.pauses.first_ms > BEFORE_ALL or m.clocks.label_quiets:
        told = _Labelling(m.pauses.dump(), stints.form, stints.open_ms, m.clocks.label_quiets)
        changes.put(f"labelling/{m.key}", msgspec.msgpack.encode(told))
    for start, raw in stints.save():
        if raw is None:
            changes.delete(f"stint/{m.key}/{start}")
        else:
            changes.put(f"stint/{m.key}/{start}", raw)


def _load_labelling(m: Memory, raw: bytes) -> None:
    """Forgotten where it is watched no more. Stints of another length are forgotten too."""
    try:
        told = msgspec.msgpack.decode(raw, type=_Labelling)
    except msgspec.DecodeError as error:
        raise ValueError(f"damaged state of labelling: {error}") from error
    if m.stints is None:
        m.changes.delete(f"labelling/{m.key}")
        return
    m.pauses, m.clocks.label_quiets = Pauses.load(told.pauses), told.quiets
    m.stints.stale = told.form != m.stints.form
    m.stints.open_ms = None if m.stints.stale else told.open_ms


def _load_stint(m: Memory, start: int, raw: bytes) -> None:
    if m.stints is None or m.stints.stale:
        m.changes.delete(f"stint/{m.key}/{start}")
    else:
        m.stints.load(start, raw)


def _detector_field(m: Memory, cause: str) -> str:
    return f"detector/{m.key}/{urllib.parse.quote(cause, safe='')}"


def _progress(m: Memory) -> dict[str, Any]:
    kinds = {k: (p.done_ms, sorted(p.late), p.revisions) for k, p in m.progress.items()}
    tracks = {k: (t.fed_ms, t.late, t.refused) for k, t in m.tracks.items()}
    pulses = {
        w.cause: (
            [dataclasses.astuple(p) for p in w.pulses],
            w.scale,
            w.rebuilt,
            w.ration.dump(),
            *([w.counts] if w.counts else []),
        )
        for w in m.watched
    }
    silent = (m.silences, m.patience_ms, m.clocks.quiets)
    counted = any(w.counts for w in m.watched)
    return (
        ({"silence": silent} if any(silent) else {})
        | {
            "format": TAUGHT if m.learnt.known else COUNTED if counted else FORMAT,
            "model": m.model,
            "version": m.version,
            "pane_ms": m.pane_ms,
            "clocks": m.clocks.dump(),
            "progress": kinds,
            "tracks": tracks,
            "pulses": pulses,
            "retraining": dataclasses.astuple(m.retraining),
            "active": m.active,
            "first": m.first,
            "owner": (m.owner, m.owner_ms),
            "counts": m.counts,
        }
        | ({} if m.began_ms is None else {"began": m.began_ms})
        | ({} if m.ages is None else {"ages": True})
        | ({"later": True} if m.vintages is not None and m.vintages.later else {})
    )


def _alerts(m: Memory) -> dict[str, Any]:
    shown = {
        c: (s.alert_id, msgspec.to_builtins(s.reading), s.window_s) for c, s in m.shown.items()
    }
    alerts = {c: dataclasses.astuple(a) for c, a in m.alerts.items()}
    found = {"format": FORMAT, "alerts": alerts, "shown": shown, "history": m.history}
    groups = {name: dataclasses.astuple(group) for name, group in m.groups.items()}
    return found | ({"groups": groups} if groups else {})


def load(raw: bytes, settings: Callable[[str], ModelSettings]) -> Memory:
    """The memory of a field "monitor/KEY". Raises ValueError where it cannot be used."""
    s = _decoded(raw)
    m = Memory(s["model"], s["version"], settings(s["model"]))
    if s["pane_ms"] != m.pane_ms:
        raise ValueError(
            f"pane_s = {m.settings.pane_s}: must be {s['pane_ms'] // 1000} for {m.model} "
            f"{m.version}, which has been counted by it; a new version may have another"
        )
    m.clocks = Clocks.load(s["clocks"])
    for kind in KINDS:
        p, t = m.progress[kind], m.tracks[kind]
        p.done_ms, p.late, p.revisions = s["progress"][kind]
        p.late = set(p.late)
        t.fed_ms, t.late, t.refused = s["tracks"][kind]
    _load_pulses(m, s["pulses"])
    m.retraining = RetrainState(*s["retraining"])
    m.active = [(since, ref) for since, ref in s["active"]]
    m.first = tuple(s["first"]) if s["first"] else None
    m.silences, m.patience_ms, quiets = s.get("silence", ({}, 0, {}))
    m.clocks.quiets = {partition: tuple(quiet) for partition, quiet in quiets.items()}
    (owner, m.owner_ms), m.counts = s["owner"], s["counts"]
    m.began_ms = s.get("began")  # an earlier release had none
    if m.ages is not None and "ages" not in s:
        _begin_ages(m)
    if m.vintages is not None:
        m.vintages.stale = "later" not in s
    m.owner = owner if m.owner_ms >= 0 else m.settings.owner
    m.touched = m.judged = False
    return m


def _begin_ages(m: Memory) -> None:
    """An earlier release, which was the last to write, counted no ages: what is from then on is."""
    since_ms = max(progress.done_ms for progress in m.progress.values())
    m.ages = Ages(m.settings, since_ms)
    m.ages.begun = m.ages.touched = True
    m.vintages = Vintages(m.ages)


def _load_ages(m: Memory, raw: bytes) -> None:
    if m.ages is None:
        m.changes.delete(f"ages/{m.key}")
    elif not m.ages.begun and not m.ages.load(raw):
        _begin_ages(m)


def _load_vintage(m: Memory, start: int, raw: bytes) -> None:
    if m.vintages is None or m.ages is None or m.ages.begun:
        m.changes.delete(f"vintage/{m.key}/{start}")
    else:
        m.vintages.load(start, raw)


def _load_later(m: Memory, start: int, raw: bytes) -> None:
    """What an earlier release did not go on with is dropped: it would be told of wrongly."""
    if m.vintages is None or m.ages is None or m.ages.begun or m.vintages.stale:
        m.changes.delete(f"later/{m.key}/{start}")
    else:
        m.vintages.load_later(start, raw)


def _load_truth(m: Memory, kind: str, rest: str, raw: bytes) -> None:
    """How truth has come. Raises ValueError where it is damaged."""
    if kind == "ages":
        _load_ages(m, raw)
    elif kind == "vintage":
        _load_vintage(m, int(rest), raw)
    elif kind == "later":
        _load_later(m, int(rest), raw)
    elif kind == "labelling":
        _load_labelling(m, raw)
    elif kind == "learnt":
        m.learnt.load(raw)
    elif kind in ("course", "lessons"):
        _load_course(m, kind, raw)
    else:
        _load_stint(m, int(rest), raw)


def _load_course(m: Memory, kind: str, raw: bytes) -> None:
    """Forgotten where nobody wants to go on with it."""
    if m.course is None:
        m.changes.delete(f"{kind}/{m.key}")
    elif kind == "course":
        m.course.load(raw)
    else:
        m.course.lessons.load(raw)


def _load_pulses(m: Memory, pulses: dict[str, Any]) -> None:
    for watched in m.watched:
        told, scale, watched.rebuilt, *more = pulses.get(watched.cause, ([], None, ""))
        for state in more[:1]:  # an earlier release had none
            watched.ration.load(state)
            watched.left_out = watched.ration.left_out
        for counts in more[1:]:  # only of a detector whose pulses are judged by their number
            watched.counts = dict(counts)
        watched.pulses = [Pulse(*p) for p in told]
        watched.scale = tuple(scale) if scale else None


def load_field(m: Memory, kind: str, rest: str, raw: bytes) -> None:
    """Take up one more field. Raises ValueError where it is damaged."""
    if kind == "detector":
        _load_detector(m, urllib.parse.unquote(rest), raw)
    elif kind == "alerts":
        _load_alerts(m, _decoded(raw))
    elif kind in TRUTH:
        _load_truth(m, kind, rest, raw)
    elif kind in ("asked", "trial"):
        _load_loop(m, kind, raw)
    elif kind == "held":
        _load_held(m, rest, raw)
    elif kind.startswith("names-"):
        rows = msgspec.msgpack.decode(raw)
        m.windows[_kind(kind)].name(ShareName(*row) for row in rows)
        if m.ages is not None and _kind(kind) == "inputs":
            m.ages.name(int(rest), m.windows["inputs"].rows(int(rest)))
    elif kind.startswith("fact-"):
        first, last, sources = msgspec.msgpack.decode(raw)
        told = {(topic, part): (a, b) for topic, part, a, b in sources}
        m.progress[_kind(kind)].facts[int(rest)] = Fact(told, first, last)


def _load_loop(m: Memory, kind: str, raw: bytes) -> None:
    if kind == "asked":
        m.loop.asked = Asked.from_bytes(raw)
    else:
        m.loop.trial = Trial.from_bytes(raw)


def _load_held(m: Memory, rest: str, raw: bytes) -> None:
    at, held = tuple(map(int, rest.split("-"))), decode_signals(raw).series
    for one in KINDS:
        m.tracks[one].hold(at[0], at[1], held, again=True)


def _load_detector(m: Memory, cause: str, raw: bytes) -> None:
    """A detector that the settings name no more is forgotten; its alert resolves in time."""
    watched = next((w for w in m.watched if w.cause == cause), None)
    if watched is None:
        m.changes.delete(_detector_field(m, cause))
    else:
        watched.restore(raw)


def _load_alerts(m: Memory, s: dict[str, Any]) -> None:
    m.alerts = {cause: AlertState(*a) for cause, a in s["alerts"].items()}
    m.shown = {
        cause: Shown(alert_id, msgspec.convert(reading, Reading), window_s)
        for cause, (alert_id, reading, window_s) in s["shown"].items()
    }
    m.groups = {  # an earlier release had none
        name: Group(told, since_ms, tuple(members))
        for name, (told, since_ms, members) in s.get("groups", {}).items()
    }
    m.history = {
        window_s: {end: (seen[0], seen[1]) for end, seen in known.items()}
        for window_s, known in s["history"].items()
    }


def _kind(field: str) -> Kind:
    return cast(Kind, field.partition("-")[2])


def _decoded(raw: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = msgspec.msgpack.decode(raw, strict=False)
    except msgspec.DecodeError as error:
        raise ValueError(f"damaged state of a monitor: {error}") from error
    if found.get("format") not in (FORMAT, COUNTED, TAUGHT):
        raise ValueError(f"state of a monitor of format {found.get('format')}, not {TAUGHT}")
    return found
