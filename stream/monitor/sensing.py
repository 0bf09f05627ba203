"""Sensing: the online detectors, and how long a pulse counts."""

import itertools
from collections.abc import Mapping

from stream.alerts import QUIET, Rule
from stream.evaluations import burning_in
from stream.monitor.alarms import observe
from stream.monitor.memory import KINDS, Memory
from stream.monitor.receiving import held_field
from stream.monitor.telling import Sight
from stream.panes import pane_of
from stream.pulses import PulseLaw, laws_of, level_of_pulses
from stream.references import Reference
from stream.signals import Kind
from stream.signs import (
    Count,
    count_evaluation,
    in_drift,
    pulse_evaluation,
    silence,
    silence_evaluation,
)
from stream.subjects import Subject
from stream.tracks import MAX_PULSES, Pulse, Scale, Scales, Watched, scale_of

FIRED = "the detector fired"


def feed(m: Memory, kind: Kind, until_ms: int) -> None:
    """Give the detectors of a track everything before a time."""
    track = m.tracks[kind]
    before = track.fed_ms
    for watched, pulse in track.feed(until_ms, scales(m)):
        _pulse(m, watched, pulse)
    for at in track.release():
        if not any(at in m.tracks[k].held for k in KINDS) and m.fresh.pop(at, None) is None:
            m.changes.delete(held_field(m, *at))
    m.touched |= track.fed_ms != before


def _law(m: Memory, watched: Watched, pane: int) -> PulseLaw | None:
    """What is known of a detector's pulses by chance, by the reference that counts for a pane."""
    reference = m.reference_at(pane)
    calibration = reference.calibration if reference else None
    evidence_ms = m.settings.evidence_s * 1000
    if calibration is None or evidence_ms > m.kept_ms or evidence_ms % m.pane_ms:
        return None
    return laws_of(calibration.detectors, m.settings).get(watched.cause)


def _pulse(m: Memory, watched: Watched, pulse: Pulse) -> None:
    pane = pane_of(pulse.time_ms, m.pane_ms)
    if _law(m, watched, pane) is not None:
        watched.counts[pane] = watched.counts.get(pane, 0) + 1
        return
    of = _subject(m, pulse.time_ms)
    since_ms = in_drift_since(m, watched, pulse.time_ms)
    found = pulse_evaluation(of, watched, pulse.time_ms if since_ms is None else since_ms)
    until_ms = m.burns_in(pulse.time_ms)
    if until_ms is not None:
        found = burning_in(found, until_ms)
    if _news(m, watched, pulse, told=until_ms is None):
        m.publish(found)
    if until_ms is not None:
        return
    sight = Sight(
        watched.cause,
        found.readings[0],
        found,
        rule=Rule(1, 1, m.settings.cooldown_s * 1000),
        since_ms=pulse.time_ms,
        reason=FIRED,
    )
    observe(m, of, sight)


def in_drift_since(m: Memory, watched: Watched, at_ms: int) -> int | None:
    """The first of the pulses up to a time that follow each other while each is evidence.

    None where none of them is evidence any more.
    """
    evidence_ms = m.settings.evidence_s * 1000
    times = [p.time_ms for p in watched.pulses if p.time_ms <= at_ms]
    if not times or times[-1] < at_ms - evidence_ms:
        return None
    again = [b for a, b in itertools.pairwise(times) if b - a > evidence_ms]
    state = m.alerts.get(watched.cause, QUIET)
    if again or state.state != "firing" or len(watched.pulses) < MAX_PULSES:
        return again[-1] if again else times[0]
    return min(times[0], state.since_ms)  # its first pulses are not kept any more


def drifts(m: Memory, kind: Kind, end_ms: int) -> list[str]:
    """What the detectors of a track say at the end of a window, in words."""
    found = [(w, in_drift_since(m, w, end_ms - 1)) for w in m.tracks[kind].watched]
    return [
        in_drift(w, since_ms)
        for w, since_ms in found
        if since_ms is not None and _tells(m, w, end_ms - m.pane_ms)
    ]


def _tells(m: Memory, watched: Watched, pane: int) -> bool:
    """Whether a pulse is a sign at all: one that chance makes is not, until there are too many."""
    state = m.alerts.get(watched.cause, QUIET)
    return state.state == "firing" or _law(m, watched, pane) is None


def _news(m: Memory, watched: Watched, pulse: Pulse, *, told: bool) -> bool:
    """Whether a pulse is to be told of: the first, and one a pane while it cannot change more."""
    state = m.alerts.get(watched.cause, QUIET)
    cooling_ms = m.settings.cooldown_s * 1000 - (pulse.time_ms - state.changed_ms)
    if told and (state.state == "ok" or (state.state == "resolved" and cooling_ms <= 0)):
        return True
    before = watched.pulses[-2:-1]
    return not before or before[0].time_ms // m.pane_ms != pulse.time_ms // m.pane_ms


def expire(m: Memory, kind: Kind, end: int) -> None:
    """A pulse is evidence for a stated time; without a newer one its alert resolves."""
    of = _subject(m, end)
    for watched in m.tracks[kind].watched:
        law = _law(m, watched, end - m.pane_ms)
        if law is not None:
            _judge(m, kind, of, watched, law)
            continue
        state = m.alerts.get(watched.cause)
        last = watched.pulses[-1].time_ms if watched.pulses else 0
        if state is None or state.state != "firing" or last >= of.start_ms:
            continue
        found = silence_evaluation(of, watched)
        m.publish(found)
        rule = Rule(1, 1, m.settings.cooldown_s * 1000)
        sight = Sight(watched.cause, found.readings[0], found, rule=rule, reason=silence(of))
        observe(m, of, sight)


def _judge(m: Memory, kind: Kind, of: Subject, watched: Watched, law: PulseLaw) -> None:
    """Judge the pulses of a window by their number; nothing is said where there is nothing new."""
    reference = m.reference_at(of.end_ms - m.pane_ms)
    assert reference is not None
    assert reference.calibration is not None
    watched.counts = {pane: n for pane, n in watched.counts.items() if pane >= of.start_ms}
    m.touched = True
    state = m.alerts.get(watched.cause, QUIET)
    if of.end_ms - m.pane_ms not in watched.counts and state.state != "firing":
        return
    inside = [n for pane, n in watched.counts.items() if pane < of.end_ms]
    panes = range(of.start_ms, of.end_ms, m.pane_ms)
    rows = sum(m.windows[kind].rows(pane) for pane in panes)
    level = level_of_pulses(reference.calibration.detectors, m.settings)
    found = count_evaluation(of, watched, Count(sum(inside), rows, law, level))
    until_ms = m.burns_in(of.end_ms - 1)
    if until_ms is not None:
        m.publish(burning_in(found, until_ms))
        return
    m.publish(found)
    since_ms = in_drift_since(m, watched, of.end_ms - 1)
    rule = Rule(1, 1, m.settings.cooldown_s * 1000)
    sight = Sight(watched.cause, found.readings[0], found, rule=rule, since_ms=since_ms)
    observe(m, of, sight)


def _subject(m: Memory, end_ms: int) -> Subject:
    start = max(0, end_ms - m.settings.evidence_s * 1000)
    return Subject(m.model, m.version, m.settings, start, end_ms)


def scales(m: Memory) -> list[Scales]:
    """Mean and deviation of each signal in the references, by the time from which they count."""
    return [Scales(since, scales_of(m.references[ref])) for since, ref in m.active]


def scales_of(reference: Reference) -> dict[str, Scale]:
    """Scales of features and of the errors, where the reference knows them.

    Scores are taken as they come: they lie between 0 and 1, and a reference has only what was
    given to the answers, not to the positive class.
    """
    found = {name: scale_of(f.mean, f.sd) for name, f in reference.features.items()}
    found["score"] = None
    found["error"] = _scale_of_errors(reference.quality)
    return {name: scale for name, scale in found.items() if scale is not None}


def _scale_of_errors(quality: Mapping[str, float]) -> Scale | None:
    """Of errors that are 0 or 1, or of the sizes of errors that are numbers."""
    if "accuracy" in quality:
        wrong = 1.0 - quality["accuracy"]
        return scale_of(wrong, max(0.0, wrong * (1.0 - wrong)) ** 0.5)
    if "mae" in quality and "rmse" in quality:
        size = quality["mae"]
        return scale_of(size, max(0.0, quality["rmse"] ** 2 - size**2) ** 0.5)
    return None
