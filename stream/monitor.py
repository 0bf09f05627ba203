"""The monitor: one model version, from the signals of all partitions to alerts and requests.

Two tracks run in order of event time. Inputs: predictions up to the low watermark. Quality:
outcomes up to the low watermark of the truth, which never runs ahead of the first. So what an
evaluation of quality knows of the inputs does not depend on which of them was read first.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import msgspec

from stream import evaluations as ev
from stream.alerts import AlertState, Rule, Seen, step
from stream.books import model_key
from stream.changes import Changes, OutMessage
from stream.clocks import Clocks
from stream.cohorts import Cohorts
from stream.detectors import Detector
from stream.events import (
    Alert,
    Data,
    Evaluation,
    Limits,
    ModelRegistered,
    Reading,
    Retraining,
    RetrainRequest,
    decode_control,
    encode,
    headers,
    rfc3339,
)
from stream.firsts import first_reference, reference_events
from stream.hashes import id_hash
from stream.notices import Evidence, alert, ranges, retrain_request
from stream.panes import BEFORE_ALL
from stream.references import Reference
from stream.retraining import Answer, RetrainState, answered, refusal, requested
from stream.settings import ModelSettings
from stream.signals import Kind, ShareName, Signals, decode_signals, encode_signals
from stream.tracks import Pulse, Scale, Track, Watched, scale_of
from stream.verdicts import Moved
from stream.windows import Windows

MAX_DUE = 32  # evaluations before the shell may do something else
MAX_HISTORY = 1_000
TOPICS = {Alert: "alerts", RetrainRequest: "retrain-requests", Evaluation: "evaluations"}


@dataclasses.dataclass(slots=True)
class Fact:
    """What is remembered of a pane: offsets, and the panes [first, last] its cohorts are of."""

    sources: dict[tuple[str, int], tuple[int, int]]
    first: int
    last: int


class Monitor:
    """All that watch knows of one model version."""

    def __init__(self, model: str, version: str, settings: ModelSettings) -> None:
        self.model, self.version, self.settings = model, version, settings
        self.key = model_key(model, version)
        self.pane_ms = settings.pane_s * 1000
        self.clocks = Clocks()
        self.windows: dict[Kind, Windows] = {
            "inputs": Windows("inputs", self.pane_ms),
            "quality": Windows("quality", self.pane_ms),
        }
        self.done: dict[Kind, int] = {"inputs": BEFORE_ALL, "quality": BEFORE_ALL}
        self.late: dict[Kind, dict[int, int]] = {"inputs": {}, "quality": {}}
        self.revisions: dict[Kind, dict[int, int]] = {"inputs": {}, "quality": {}}
        self.facts: dict[Kind, dict[int, Fact]] = {"inputs": {}, "quality": {}}
        self.tracks = _tracks(model, version, settings)
        self.alerts: dict[str, AlertState] = {}
        self.firing: dict[str, tuple[str, Reading]] = {}
        self.retraining = RetrainState()
        self.history: dict[int, tuple[Moved, Moved]] = {}
        self.active: list[tuple[int, str]] = []
        self.references: dict[str, Reference] = {}
        self.owner = settings.owner
        self.proposed = False
        self.counts: dict[str, int] = {}
        self.out: list[OutMessage] = []
        self.changes = Changes()
        self.touched = True

    # receive

    def receive(self, signals: Signals) -> bool:
        """Take in a message; False for one that was there. Raises `stream.clocks.Gap`."""
        if not self.clocks.accept(signals):
            return False
        self.touched = True
        self.clocks.update(signals)
        if signals.active:
            self.active = sorted({*self.active, *signals.active})
        for kind, windows in self.windows.items():
            self._named(kind, windows.name(signals.sealed))
        held = [t.hold(signals.partition, signals.sequence, signals.series) for t in self._tracks()]
        if any(held):
            only = Signals(
                self.model,
                self.version,
                signals.partition,
                signals.partitions,
                signals.sequence,
                series=signals.series,
            )
            self.changes.put(self._held(signals.partition, signals.sequence), encode_signals(only))
        for reason, rows in signals.counts.items():
            self.counts[reason] = self.counts.get(reason, 0) + rows
        for raw in signals.control:
            self._control(raw)
        return True

    def _named(self, kind: Kind, panes: list[int]) -> None:
        for pane in panes:
            self._save_names(kind, pane)
            end = pane + self.pane_ms
            if end <= self.done[kind]:
                self.late[kind][end] = self.late[kind].get(end, 0)

    def _tracks(self) -> list[Track]:
        return [self.tracks["inputs"], self.tracks["quality"]]

    def _control(self, raw: bytes) -> None:
        event = decode_control(raw, None, -1, Limits())
        if isinstance(event, ModelRegistered):
            self.owner = event.owner or self.owner
        elif isinstance(event, Retraining):
            progress: Any = event.type.removeprefix("retraining-")
            said = Answer(event.request_id, progress, event.time)
            self.retraining = answered(self.retraining, said)

    # gather

    def due(self, kind: Kind) -> list[int]:
        """Ends of the panes that are to be evaluated now, in order."""
        low = self.clocks.low_ms() if kind == "inputs" else self.clocks.label_low_ms()
        ends = (pane + self.pane_ms for pane in self.windows[kind].named)
        return sorted(end for end in ends if self.done[kind] < end <= low)[:MAX_DUE]

    def wanted(self) -> list[ShareName]:
        """The sealed shares that the next `advance` needs."""
        found: dict[ShareName, None] = {}
        for kind in ("inputs", "quality"):
            for end in [*self.late[kind], *self.due(kind)]:
                names = self.windows[kind].wanted(end, self._reach(end))
                found.update(dict.fromkeys(names))
        return list(found)

    def wanted_references(self) -> set[str]:
        """Ids of references that are named and not in memory."""
        named = {name.reference for name in self.wanted() if name.reference}
        return (named | {ref for _, ref in self.active}) - set(self.references)

    def supply(self, name: ShareName, raw: bytes) -> None:
        """A share that was wanted. Raises ValueError on damaged bytes."""
        self.windows[name.kind].add(name, raw, self.references)

    def _reach(self, end: int) -> int:
        """How far back shares are needed: the longest window, or all there is of no reference."""
        longest = max(self.settings.windows_s) * 1000
        panes = self.windows["inputs"].named
        if self.proposed or self.active or not panes:
            return longest
        return max(longest, end - min(panes))

    # decide

    def advance(self) -> bool:
        """Do what is due: all that was `wanted` is in memory. Whether more is due at once."""
        for kind in ("inputs", "quality"):
            for end, revision in sorted(self.late[kind].items()):
                self._again(kind, end, revision)
            self.late[kind] = {}
        if self._advance("inputs", self.clocks.low_ms()):
            return True
        return self._advance("quality", self.clocks.label_low_ms())

    def _advance(self, kind: Kind, low_ms: int) -> bool:
        ends = self.due(kind)
        for end in ends:
            self._feed(kind, end)
            self._evaluate(kind, end)
            self.done[kind] = end
            self._expire(kind, end)
        if ends:
            self.touched = True
            longest = max(self.settings.windows_s) * 1000
            kept = self.settings.panes_kept * self.pane_ms
            self._forget(kind, ends[-1] - longest, ends[-1] - kept)
        if len(ends) == MAX_DUE:
            return True
        self._feed(kind, low_ms)
        return False

    def _again(self, kind: Kind, end: int, _: int) -> None:
        """Evaluate a window once more, with what came late. Alerts stay as they are."""
        revision = self.revisions[kind].get(end, 0) + 1
        self.revisions[kind][end] = revision
        self.touched = True
        for window_s in self.settings.windows_s:
            self._publish(self._evaluation(kind, self._subject(end, window_s, revision)))

    def _evaluate(self, kind: Kind, end: int) -> None:
        self._note_fact(kind, end - self.pane_ms)
        for window_s in self.settings.windows_s:
            of = self._subject(end, window_s)
            found = self._evaluation(kind, of)
            self._publish(found)
            if kind == "inputs":
                self._remember(end, found)
            suffix = f"@{window_s}s" if len(self.settings.windows_s) > 1 else ""
            for cause, reading in ev.by_cause(found.readings, suffix).items():
                self._observe(of, cause, reading, found)
            if kind == "quality":
                self._consider(of, found)

    def _subject(self, end: int, window_s: int, revision: int = 0) -> ev.Subject:
        start = max(0, end - window_s * 1000)
        return ev.Subject(self.model, self.version, self.settings, start, end, revision)

    def _evaluation(self, kind: Kind, of: ev.Subject) -> Evaluation:
        window_ms = of.end_ms - of.start_ms
        if kind == "quality":
            cohorts = self.windows["quality"].cohorts(of.end_ms, window_ms)
            reference = self._reference_at(of.end_ms - self.pane_ms)
            return ev.quality_evaluation(of, reference, cohorts, self._known(of.end_ms, cohorts))
        reference = self._reference_at(of.end_ms - self.pane_ms)
        if reference is None:
            return self._unreferenced(of)
        merged = self.windows["inputs"].merged(
            of.end_ms, window_ms, reference, self.settings.positive
        )
        return ev.inputs_evaluation(of, reference, merged)

    def _reference_at(self, pane: int) -> Reference | None:
        ids = [ref for since, ref in self.active if since <= pane]
        return self.references[ids[-1]] if ids else None

    def _known(self, end: int, cohorts: Cohorts) -> ev.Known:
        seen = [at for at in self.history if at <= end]
        inputs, outputs = self.history[max(seen)] if seen else (None, None)
        predictions = sum(self.windows["inputs"].rows(pane) for pane in cohorts.cells)
        task = self.settings.task
        reference = self._reference_at(end - self.pane_ms)
        if task == "auto" and reference is not None:
            task = reference.task  # type: ignore[assignment]
        return ev.Known(inputs, outputs, predictions, task)

    def _remember(self, end: int, found: Evaluation) -> None:
        self.history[end] = (found.verdict.inputs, found.verdict.outputs)
        while len(self.history) > MAX_HISTORY:
            del self.history[min(self.history)]

    def _unreferenced(self, of: ev.Subject) -> Evaluation:
        windows = self.windows["inputs"]
        sample = windows.sample(of.end_ms, self._reach(of.end_ms))
        rows = sample.seen if sample else 0
        if sample and rows >= self.settings.reference_rows and not self.proposed:
            self.proposed = True
            reference = first_reference(self.model, self.version, sample, self.settings)
            for event in reference_events(reference, rfc3339(of.end_ms)):
                raw = msgspec.json.encode(event)
                self.out.append(OutMessage("control", self.model.encode(), raw))
        return ev.unreferenced_evaluation(of, rows, self.settings.reference_rows)

    # detectors

    def _feed(self, kind: Kind, until_ms: int) -> None:
        track = self.tracks[kind]
        before = track.fed_ms
        for watched, pulse in track.feed(until_ms, self._scales()):
            self._pulse(watched, pulse)
        for partition, sequence in track.release():
            if not any((partition, sequence) in t.held for t in self._tracks()):
                self.changes.delete(self._held(partition, sequence))
        self.touched |= track.fed_ms != before

    def _pulse(self, watched: Watched, pulse: Pulse) -> None:
        start = max(0, pulse.time_ms - self.settings.evidence_s * 1000)
        of = ev.Subject(self.model, self.version, self.settings, start, pulse.time_ms)
        found = ev.detector_evaluation(of, watched, watched.pulses)
        self._publish(found)
        rule = Rule(1, 1, self.settings.cooldown_s * 1000)
        self._observe(of, watched.cause, found.readings[0], found, rule)

    def _expire(self, kind: Kind, end: int) -> None:
        """A pulse is evidence for a stated time; without a newer one its alert resolves."""
        for watched in self.tracks[kind].watched:
            state = self.alerts.get(watched.cause, AlertState())
            last = watched.pulses[-1].time_ms if watched.pulses else 0
            start = end - self.settings.evidence_s * 1000
            if state.state == "firing" and last < start:
                of = ev.Subject(self.model, self.version, self.settings, start, end)
                found = ev.detector_evaluation(of, watched, [])
                self._publish(found)
                self._observe(of, watched.cause, found.readings[0], found, Rule(1, 1))

    def _scales(self) -> dict[str, Scale]:
        """Mean and deviation of each signal in the newest reference."""
        if not self.active:
            return {}
        reference = self.references[self.active[-1][1]]
        found = {name: scale_of(f.mean, f.sd) for name, f in reference.features.items()}
        if "confidence" in reference.outputs:
            sure = reference.outputs["confidence"]
            found["score"] = scale_of(sure.mean, sure.sd)
        if "accuracy" in reference.quality:
            wrong = 1.0 - reference.quality["accuracy"]
            found["error"] = scale_of(wrong, (wrong * (1.0 - wrong)) ** 0.5)
        return {name: scale for name, scale in found.items() if scale is not None}

    # alerts and requests

    def _observe(
        self,
        of: ev.Subject,
        cause: str,
        reading: Reading,
        found: Evaluation,
        rule: Rule | None = None,
    ) -> None:
        seen: Seen = "bad" if reading.verdict == "moved" else "good"
        if reading.verdict in ("not-enough-data", "no-reference"):
            seen = "unknown"
        s = self.settings
        before = self.alerts.get(cause, AlertState())
        after, change = step(
            before, seen, of.start_ms, of.end_ms, rule or Rule(s.hold, s.clear, s.cooldown_s * 1000)
        )
        if after != AlertState(good=after.good):
            self.alerts[cause] = after
        if after.state == "firing" and reading.verdict == "moved":
            known = self.firing.get(cause)
            self.firing[cause] = (known[0] if known else "", reading)
        if change is None:
            return
        notice = alert(of, cause, after, change, reading, found, self.owner)
        self._publish(notice)
        if change.change == "firing":
            self.firing[cause] = (notice.id, reading)
        elif change.change == "resolved":
            self.firing.pop(cause, None)

    def _consider(self, of: ev.Subject, found: Evaluation) -> None:
        """Ask for retraining where quality alerts fire, and nothing speaks against it."""
        causes = [c for c in sorted(self.firing) if c.startswith("quality:")]
        if not causes:
            return
        since = min(self.alerts[c].since_ms for c in causes)
        panes = [p for p in sorted(self.windows["quality"].named) if since <= p < of.end_ms]
        rows = sum(self.windows["quality"].rows(p) for p in panes)
        s = self.settings
        why_not = refusal(
            self.retraining,
            of.end_ms,
            rows,
            enabled=s.retrain,
            cooldown_ms=s.retrain_cooldown_s * 1000,
            minimum_labels=s.retrain_minimum_labels,
        )
        if why_not is None:
            told = self._evidence(causes, panes, rows, since)
            request = retrain_request(of, told, found, self.owner)
            self.retraining = requested(self.retraining, request.id, of.end_ms)
            self._publish(request)

    def _evidence(self, causes: list[str], panes: list[int], rows: int, since: int) -> Evidence:
        truths = [self.facts["quality"][p] for p in panes if p in self.facts["quality"]]
        first = min((f.first for f in truths), default=since)
        last = max((f.last for f in truths), default=since) + self.pane_ms
        made = [f for p, f in self.facts["inputs"].items() if first <= p < last]
        sources = Cohorts()
        for fact in (*truths, *made):
            for source, offsets in fact.sources.items():
                sources.came_from(source, *offsets)
        readings = [self.firing[c][1] for c in causes]
        return Evidence(
            readings,
            [self.firing[c][0] for c in causes],
            Data(start=rfc3339(first), end=rfc3339(last), offsets=ranges(sources.sources)),
            rows,
            "; ".join(r.reason for r in readings),
        )

    def _publish(self, event: Evaluation | Alert | RetrainRequest) -> None:
        topic, key = TOPICS[type(event)], self.model.encode()
        self.out.append(OutMessage(topic, key, encode(event), tuple(headers(event))))

    # state

    def _note_fact(self, kind: Kind, pane: int) -> None:
        windows = self.windows[kind]
        merged = windows.panes.get(pane)
        cells = merged.cohorts.cells if merged else {}
        sources = windows.sources(pane, pane + self.pane_ms)
        fact = Fact(sources, min(cells, default=pane), max(cells, default=pane))
        self.facts[kind][pane] = fact
        rows = [(*source, *offsets) for source, offsets in sorted(sources.items())]
        packed = msgspec.msgpack.encode((fact.first, fact.last, rows))
        self.changes.put(f"fact-{kind}/{self.key}/{pane}", packed)

    def _forget(self, kind: Kind, merged_before: int, before: int) -> None:
        windows = self.windows[kind]
        gone = [pane for pane in windows.named if pane < before]
        windows.forget(merged_before if self.active or kind == "quality" else before, before)
        for pane in gone:
            self.facts[kind].pop(pane, None)
            self.revisions[kind].pop(pane + self.pane_ms, None)
            self.changes.delete(f"fact-{kind}/{self.key}/{pane}")
            self.changes.delete(f"names-{kind}/{self.key}/{pane}")

    def _save_names(self, kind: Kind, pane: int) -> None:
        names = [dataclasses.astuple(n) for n in sorted(self.windows[kind].named[pane])]
        field = f"names-{kind}/{self.key}/{pane}"
        self.changes.put(field, msgspec.msgpack.encode(names))

    def _held(self, partition: int, sequence: int) -> str:
        return f"held/{self.key}/{partition}-{sequence}"

    def save(self) -> Changes:
        """Everything since the last call, with what is to be published, in order."""
        changes, self.changes = self.changes, Changes()
        changes.outbox, self.out = self.out, []
        for i, watched in enumerate(self._watched()):
            if watched.dirty:
                changes.put(f"detector/{self.key}/{i}", watched.detector.snapshot())
                watched.dirty = False
        if self.touched:
            changes.put(f"monitor/{self.key}", self._dump())
            self.touched = False
        return changes

    def _watched(self) -> Iterator[Watched]:
        for track in self._tracks():
            yield from track.watched

    def _dump(self) -> bytes:
        pulses = [
            (w.cause, [dataclasses.astuple(p) for p in w.pulses], w.rebuilt)
            for w in self._watched()
        ]
        return msgspec.msgpack.encode(
            {
                "model": self.model,
                "version": self.version,
                "clocks": self.clocks.dump(),
                "done": self.done,
                "late": self.late,
                "revisions": self.revisions,
                "fed": [t.fed_ms for t in self._tracks()],
                "dropped": [t.late for t in self._tracks()],
                "pulses": pulses,
                "alerts": {c: dataclasses.astuple(a) for c, a in self.alerts.items()},
                "firing": {c: (i, msgspec.to_builtins(r)) for c, (i, r) in self.firing.items()},
                "retraining": dataclasses.astuple(self.retraining),
                "history": self.history,
                "active": self.active,
                "owner": self.owner,
                "proposed": self.proposed,
                "counts": self.counts,
            }
        )

    @classmethod
    def load(cls, raw: bytes, settings: Any) -> "Monitor":
        """The monitor of `save`, without names, facts, held values and detectors."""
        s = msgspec.msgpack.decode(raw)
        self = cls(s["model"], s["version"], settings(s["model"]))
        self.clocks = Clocks.load(s["clocks"])
        self.done, self.late, self.revisions = s["done"], s["late"], s["revisions"]
        for track, fed, late in zip(self._tracks(), s["fed"], s["dropped"], strict=True):
            track.fed_ms, track.late = fed, late
        kept = {cause: (pulses, rebuilt) for cause, pulses, rebuilt in s["pulses"]}
        for watched in self._watched():
            pulses, watched.rebuilt = kept.get(watched.cause, ([], ""))
            watched.pulses = [Pulse(*p) for p in pulses]
        self.alerts = {cause: AlertState(*a) for cause, a in s["alerts"].items()}
        self.firing = {c: (i, msgspec.convert(r, Reading)) for c, (i, r) in s["firing"].items()}
        self.retraining = RetrainState(*s["retraining"])
        self.history = {end: tuple(moved) for end, moved in s["history"].items()}
        self.active = [(since, ref) for since, ref in s["active"]]
        self.owner, self.proposed, self.counts = s["owner"], s["proposed"], s["counts"]
        self.touched = False
        return self

    def load_field(self, kind: str, rest: str, raw: bytes) -> None:
        """Take up one more field of the state."""
        if kind == "detector":
            list(self._watched())[int(rest)].restore(
                raw, _seed(self.model, self.version, int(rest))
            )
        elif kind == "held":
            partition, _, sequence = rest.partition("-")
            for track in self._tracks():
                held = decode_signals(raw).series
                track.hold(int(partition), int(sequence), held, again=True)
        elif kind.startswith("names-"):
            rows = msgspec.msgpack.decode(raw)
            windows = self.windows[kind.removeprefix("names-")]  # type: ignore[index]
            windows.name(ShareName(*row) for row in rows)
        elif kind.startswith("fact-"):
            first, last, sources = msgspec.msgpack.decode(raw)
            told = {(topic, part): (a, b) for topic, part, a, b in sources}
            self.facts[kind.removeprefix("fact-")][int(rest)] = Fact(told, first, last)  # type: ignore[index]


def _seed(model: str, version: str, number: int) -> int:
    return id_hash(model, f"{version}\0{number}") >> 1


def _tracks(model: str, version: str, settings: ModelSettings) -> dict[Kind, Track]:
    watched = [
        Watched(d, Detector(d, _seed(model, version, i), settings.task))
        for i, d in enumerate(_ordered(settings))
    ]
    inputs = Track([w for w in watched if w.settings.signal != "error"])
    return {
        "inputs": inputs,
        "quality": Track([w for w in watched if w.settings.signal == "error"]),
    }


def _ordered(settings: ModelSettings) -> list[Any]:
    """Detectors as they are numbered: those of inputs first, then those of errors."""
    return sorted(settings.detectors, key=lambda d: d.signal == "error")
