"""Judging: which windows are due, and what is said of them.

What takes long is measured before anything is applied: an interruption leaves the memory sound.
"""

import dataclasses
from collections.abc import Iterator

import msgspec

from stream.changes import OutMessage
from stream.cohorts import Cohorts
from stream.evaluations import Known, burning_in, inputs_evaluation, quality_evaluation
from stream.events import Evaluation
from stream.firsts import first_reference, reference_events
from stream.leisure import ALWAYS, Leisure
from stream.monitor import aging, alarms, closing, labelling, learning, sensing, silences, state
from stream.monitor.memory import KINDS, Memory
from stream.previous import Previous
from stream.references import Reference
from stream.remarks import unjudged_evaluation, unreferenced_evaluation
from stream.rivals import beside_others
from stream.seasons import unfit
from stream.signals import Kind, ShareName
from stream.stamps import stamp
from stream.subjects import Subject
from stream.traffic import traffic_of
from stream.windows import Merged

YET = "not enough data yet"
MAX_DUE = 4  # windows of a kind before the shell may do something else: each costs up to a second


def due(m: Memory, kind: Kind) -> list[int]:
    """Ends of the panes that are to be evaluated now, in order."""
    done, low = m.progress[kind].done_ms, m.low_ms(kind)
    if low - m.pane_ms < done:
        return []
    ends = (pane + m.pane_ms for pane in m.windows[kind].named)
    return sorted(end for end in ends if done < end <= low)[:MAX_DUE]


def late(m: Memory, kind: Kind) -> list[int]:
    """Ends of the panes that are to be evaluated again, in order."""
    return sorted(m.progress[kind].late)[:MAX_DUE]


def wanted(m: Memory) -> list[ShareName]:
    """The sealed shares that the next `advance` needs."""
    found: dict[ShareName, None] = {}
    for kind in KINDS:
        for end in [*late(m, kind), *due(m, kind)]:
            found.update(dict.fromkeys(m.windows[kind].wanted(end, _reach(m, kind, end))))
            if kind == "inputs":
                found.update(dict.fromkeys(m.windows["answers"].wanted(end, m.longest_ms)))
            if kind == "quality":
                found.update(dict.fromkeys(learning.wanted(m, end)))
    found.update(dict.fromkeys(closing.wanted(m)))
    return list(found)


def _reach(m: Memory, kind: Kind, end: int) -> int:
    """How far back shares are needed: as far as a window looks, or all there is of no reference."""
    panes = m.windows["inputs"].named
    reach = m.reach_ms(kind)
    if kind == "inputs":
        reach = max(reach, m.furthest_ms(end))
    return reach if not m.collects or not panes else max(reach, end - min(panes))


def advance(m: Memory, leisure: Leisure = ALWAYS) -> bool:
    """Do what is due. Whether more is due at once. Raises stream.leisure.Interrupted."""
    more = closing.advance(m)
    for kind in KINDS:
        for end in late(m, kind):
            _again(m, kind, end, leisure)
            m.progress[kind].late.discard(end)
            if leisure.enough():
                return True
        more |= bool(m.progress[kind].late)
    if _advance(m, "inputs", leisure):
        return True
    silences.by_the_clock(m)
    if _advance(m, "quality", leisure):
        more = True
    else:
        labelling.by_the_clock(m)
    return closing.forget(m) or more


def _advance(m: Memory, kind: Kind, leisure: Leisure) -> bool:
    ends = due(m, kind)
    if kind == "inputs" and ends:  # the first of them may be content with less than the last
        m.reached_ms = max(map(m.furthest_ms, ends))
    for end in ends:
        if kind == "quality" and learning.wanted(m, end):
            return True  # the inputs that have just been judged have pushed them out
        m.touched = m.judged = True
        if kind == "inputs":
            m.begin(end - m.pane_ms)
        sensing.feed(m, kind, end)
        if kind == "quality":
            labelling.before(m, end)
            aging.count(m, end - m.pane_ms)
            labelling.count(m, end)
            learning.teach(m, end)
        if kind == "inputs":
            silences.rows_again(m, end)
        _evaluate(m, kind, end, leisure)
        m.progress[kind].done_ms = end
        sensing.expire(m, kind, end)
        state.forget(m, kind)
        if leisure.enough():
            return True
    if len(ends) == MAX_DUE:
        return True
    sensing.feed(m, kind, m.low_ms(kind))
    return False


def _evaluate(m: Memory, kind: Kind, end: int, leisure: Leisure) -> None:
    subjects = [(_subject(m, end, window_s), window_s) for window_s in m.settings.windows_s]
    drifts = sensing.drifts(m, kind, end)
    evaluations = [_noted(_evaluation(m, kind, *subject, leisure), drifts) for subject in subjects]
    state.note_fact(m, kind, end - m.pane_ms)
    for (of, window_s), found in zip(subjects, evaluations, strict=True):
        m.publish(found)
        if kind == "inputs":
            seen = (found.verdict.inputs, found.verdict.outputs)
            m.history.setdefault(window_s, {})[end] = seen
        if m.burns_in(end - 1):
            continue
        alarms.observe_all(m, of, window_s, found)
        for sight in silences.over(m, of, window_s, found) if kind == "inputs" else ():
            alarms.observe(m, of, sight)
        if kind == "quality":
            alarms.consider(m, of, found)


def _noted(found: Evaluation, more: list[str]) -> Evaluation:
    return msgspec.structs.replace(found, notes=[*found.notes, *more]) if more else found


def _again(m: Memory, kind: Kind, end: int, leisure: Leisure) -> None:
    """Evaluate a window once more, with what came late. Alerts stay as they are."""
    m.touched = m.judged = True
    revision = m.progress[kind].revisions.get(end, 0) + 1
    if kind == "quality":
        aging.count_late(m, end - m.pane_ms)
    evaluations = [
        _evaluation(m, kind, _subject(m, end, window_s, revision), window_s, leisure)
        for window_s in m.settings.windows_s
    ]
    m.progress[kind].revisions[end] = revision
    state.note_fact(m, kind, end - m.pane_ms)
    for found in evaluations:
        m.publish(found)


def _subject(m: Memory, end: int, window_s: int, revision: int = 0) -> Subject:
    start = max(0, end - window_s * 1000)
    return Subject(m.model, m.version, m.settings, start, end, revision)


def _evaluation(m: Memory, kind: Kind, of: Subject, window_s: int, leisure: Leisure) -> Evaluation:
    found = _measured(m, kind, of, window_s, leisure)
    found = found if kind == "quality" else _answered(m, of, found)
    until_ms = m.burns_in(of.end_ms - 1)
    return found if until_ms is None else burning_in(found, until_ms)


def _answered(m: Memory, of: Subject, found: Evaluation) -> Evaluation:
    """With what else is told of a challenger: where it and others answered differently."""
    pane = of.end_ms - m.pane_ms
    cohorts = m.windows["answers"].cohorts(of.end_ms, of.end_ms - of.start_ms)
    known = m.reference_at(pane), cohorts, aging.task_of(m, pane)
    beside = beside_others(of, *known, truth=False)
    if beside is None:
        return found
    notes = [*found.notes, *beside.notes]
    return msgspec.structs.replace(found, beside=beside.contests, notes=notes)


def _measured(m: Memory, kind: Kind, of: Subject, window_s: int, leisure: Leisure) -> Evaluation:
    window_ms = window_s * 1000
    reference = m.reference_at(of.end_ms - m.pane_ms)
    if kind == "quality":
        cohorts = m.windows["quality"].cohorts(of.end_ms, window_ms)
        found = quality_evaluation(of, reference, cohorts, _known(m, of, window_s, cohorts))
        told = learning.told(m, of, window_ms, cohorts)
        return msgspec.structs.replace(found, recalibrated=told) if told else found
    learnt = m.learnt_at(of.end_ms - m.pane_ms)
    if reference is None:
        return _unreferenced(m, of)
    reach = m.reach(of.end_ms, window_s)
    windows, merged = m.windows["inputs"], _compared(m, of, reach.window_s * 1000, reference)
    if isinstance(merged, str):
        return unjudged_evaluation(of, windows.rows_in(of.end_ms, window_ms), merged)
    own = m.first[0] if m.first and m.first[1] == reference.id else None
    traffic = traffic_of(windows, of.end_ms, window_ms, m.kept_ms)
    return inputs_evaluation(of, reference, merged, own, leisure, traffic, reach, learnt)


def _compared(m: Memory, of: Subject, window_ms: int, reference: Reference) -> Merged | str:
    """The counts of a window, and what they are compared with; or why they cannot be."""
    windows, s = m.windows["inputs"], m.settings
    if s.seasonality != "none":
        why = unfit(reference, s.seasonality)
        return why or windows.by_hour(of.end_ms, window_ms, reference, s)
    merged = windows.merged(of.end_ms, window_ms, reference, s.positive)
    if s.reference == "fixed":
        return merged
    start_ms = of.start_ms - window_ms
    before = windows.merged(of.start_ms, window_ms, reference, s.positive, beside="before")
    first = windows.first(of.end_ms - m.kept_ms)
    if first is None or first > start_ms or before.other or before.gone:
        return f"{YET}: the window before, from {stamp(start_ms)}, is not whole"
    if before.share.rows < s.minimum_rows:
        rows = f"{before.share.rows:,} rows in the window before"
        return f"{YET}: {rows}, {s.minimum_rows:,} are needed"
    return dataclasses.replace(merged, against=Previous(before.share, start_ms))


def _known(m: Memory, of: Subject, window_s: int, cohorts: Cohorts) -> Known:
    end = of.end_ms
    seen = [at for at in m.history.get(window_s, {}) if end - window_s * 1000 < at <= end]
    inputs, outputs = m.history[window_s][max(seen)] if seen else (None, None)
    task = aging.task_of(m, end - m.pane_ms)
    gone = m.windows["quality"].gone(end, window_s * 1000)
    labels = aging.labels(m, of, cohorts, aging.census(m, end))
    predictions, learnt = _predictions(m, end, cohorts), m.learnt_at(end - m.pane_ms)
    return Known(inputs, outputs, predictions, task, gone, labels, learnt)


def _predictions(m: Memory, end: int, cohorts: Cohorts) -> int:
    """Predictions in the panes of the cohorts; 0 where some of them lie too far back."""
    panes = cohorts.panes
    if min(panes, default=end) < end - m.kept_ms:
        return 0
    return sum(m.windows["inputs"].rows(pane) for pane in panes)


def _unreferenced(m: Memory, of: Subject) -> Evaluation:
    """What is said without a reference; once there are enough rows, they become one."""
    sample = m.windows["inputs"].sample(of.end_ms, _reach(m, "inputs", of.end_ms))
    rows, needed = (sample.seen if sample else 0), m.settings.reference_rows
    if sample and rows >= needed and m.collects:
        reference = first_reference(m.model, m.version, sample, m.settings)
        m.first = (of.end_ms, reference.id)
        m.references[reference.id] = reference
        m.active = [m.first]
        m.changes.references[reference.id] = reference.to_bytes()
        m.out += _registration(m, reference_events(reference, stamp(of.end_ms)))
    made = m.first is not None and m.first[0] == of.end_ms
    return unreferenced_evaluation(of, rows, needed, made=made)


def _registration(m: Memory, events: list[dict[str, object]]) -> Iterator[OutMessage]:
    return (OutMessage("control", m.model.encode(), msgspec.json.encode(e)) for e in events)
