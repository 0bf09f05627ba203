"""Alarms: from readings to alerts, and from alerts to the request to retrain."""

import dataclasses

from stream.alerts import QUIET, Rule, Seen, step
from stream.causes import by_cause, gone_reading, suffix_of
from stream.cohorts import Cohorts
from stream.estimates import ESTIMATED
from stream.evaluations import UNJUDGED
from stream.events import Data, Evaluation, Reading
from stream.gradings import PROVISIONAL
from stream.groups import Move
from stream.labelling import CHECKS
from stream.monitor.memory import Fact, Memory, Shown
from stream.monitor.telling import News, Sight, tell, tell_all
from stream.notices import Evidence, ranges, retrain_request, subject_of
from stream.retirements import retired
from stream.retraining import Limits, refusal, requested
from stream.stamps import stamp
from stream.subjects import Subject
from stream.trials import asked_of
from stream.verdicts import sort_of


def observe_all(m: Memory, of: Subject, window_s: int, found: Evaluation) -> None:
    """Let all readings of an evaluation speak, and those that it should have but has not."""
    readings = by_cause(found.judged, suffix_of(m.settings, window_s))
    sights = [Sight(cause, reading, found, window_s) for cause, reading in readings.items()]
    rows = max([found.rows, *(r.n for r in found.readings if r.role != "data")])
    whole = found.subject == "inputs" and found.reference_id and rows >= m.settings.minimum_rows
    for cause in sorted(m.shown.keys() - readings.keys()):
        shown = m.shown[cause]
        if (whole and _gone(m, cause, shown, window_s)) or _retired(m, shown, found, window_s):
            reading = gone_reading(shown.reading, rows)
            sights.append(Sight(cause, reading, found, shown.window_s))
    news = [one for sight in sights if (one := _news(m, of, sight)) is not None]
    tell_all(m, of, news, {sight.cause: sight.reading for sight in sights})


def _gone(m: Memory, cause: str, shown: Shown, window_s: int) -> bool:
    """Whether a cause that was not read belongs to this window, or to nothing any more."""
    if shown.reading.role == "detector":
        return all(cause != w.cause for w in m.watched)
    if shown.reading.check in CHECKS:
        return m.stints is None
    if shown.window_s not in m.settings.windows_s:
        return True
    told = shown.reading.role != "quality" and shown.reading.check != "silence"
    return told and shown.window_s == window_s


def _retired(m: Memory, shown: Shown, found: Evaluation, window_s: int) -> bool:
    """Whether a cause that evaluations of this kind had is asked for no more."""
    of = "inputs" if shown.reading.check == ESTIMATED else "quality"
    if shown.reading.role != "quality" or (of, window_s) != (found.subject, shown.window_s):
        return False
    reference = m.references.get(found.reference_id or "")
    return retired(shown.reading, reference, m.settings, window_s)


def observe(m: Memory, of: Subject, sight: Sight) -> None:
    """Let one reading speak by itself: the state of its cause may change, and an alert go out."""
    news = _news(m, of, sight)
    if news is not None:
        tell(m, of, news)


def _news(m: Memory, of: Subject, sight: Sight) -> News | None:
    """What a reading changes: the state of its cause is another then."""
    s, cause, reading = m.settings, sight.cause, sight.reading
    before = m.alerts.get(cause, QUIET)
    if before is QUIET and len(m.alerts) >= s.max_alerts:
        if _seen(reading, s.minimum_rows) == "bad":
            m.counts["alerts-left-out"] = m.counts.get("alerts-left-out", 0) + 1
            m.touched = True
        return None
    rule = sight.rule or Rule(s.hold, s.clear, s.cooldown_s * 1000)
    start_ms = of.start_ms if sight.since_ms is None else sight.since_ms
    seen = _seen(reading, s.minimum_rows)
    after, change = step(before, seen, start_ms, of.end_ms, rule)
    m.judged |= after != before
    _remember(m, sight, after == QUIET)
    m.alerts[cause] = after
    if after == QUIET:
        del m.alerts[cause]
    if change is None:
        return None
    change = dataclasses.replace(change, reason=sight.reason or change.reason)
    since_ms = before.since_ms if after == QUIET else after.since_ms
    return News(sight, Move(cause, change, since_ms, subject_of(reading)))


def _seen(reading: Reading, least: int) -> Seen:
    """What an alert makes of a reading. Few rows that show nothing cannot start one, but end one:
    what made it fire is not there any more. Else alerts of quiet models would never end.
    """
    if reading.verdict in UNJUDGED and PROVISIONAL in reading.details:
        return "unknown"
    if reading.verdict in UNJUDGED and (reading.p_value is None or reading.n < least):
        return "unknown"
    return "bad" if reading.verdict == "moved" else "good"


def _remember(m: Memory, sight: Sight, quiet: bool) -> None:
    if quiet:
        m.shown.pop(sight.cause, None)
    elif sight.reading.verdict == "moved" or sight.cause not in m.shown:
        known = m.shown.get(sight.cause)
        alert_id = known.alert_id if known else ""
        m.shown[sight.cause] = Shown(alert_id, sight.reading, sight.window_s)
        m.judged = True


def consider(m: Memory, of: Subject, found: Evaluation) -> None:
    """Ask for retraining where quality alerts fire, and nothing speaks against it."""
    provisional = found.labels is not None and found.labels.provisional
    if of.challenges or (provisional and not m.settings.retrain_on_provisional):
        return
    causes = [
        cause
        for cause, state in sorted(m.alerts.items())
        if state.state == "firing" and _counts(m, m.shown[cause].reading)
    ]
    if not causes:
        return
    since = max(min(m.alerts[c].since_ms for c in causes), of.end_ms - m.kept_ms)
    panes = [p for p in sorted(m.windows["quality"].named) if since <= p < of.end_ms]
    rows = max(0, sum(m.windows["quality"].rows(p) for p in panes))
    if refusal(m.retraining, of.end_ms, rows, _limits(m)) is None:
        told = _evidence(m, causes, panes, rows, since)
        request = retrain_request(of, told, found, m.owner)
        m.retraining = requested(request.id, of.end_ms)
        m.publish(request)
        if m.settings.retrain_trial_s:
            m.loop.ask(asked_of(request, of.end_ms))


def _counts(m: Memory, reading: Reading) -> bool:
    """Whether a reading is a reason to retrain."""
    provisional = PROVISIONAL in reading.details and not m.settings.retrain_on_provisional
    return sort_of(reading) == "quality" and not provisional


def _limits(m: Memory) -> Limits:
    s = m.settings
    cooldown_ms, deadline_ms = s.retrain_cooldown_s * 1000, s.retrain_deadline_s * 1000
    return Limits(s.retrain, cooldown_ms, deadline_ms, s.retrain_minimum_labels)


def _evidence(m: Memory, causes: list[str], panes: list[int], rows: int, since: int) -> Evidence:
    """panes: of label time. The predictions that this truth is about have panes of their own."""
    known = m.progress["quality"].facts
    truths = [known[pane] for pane in panes if pane in known]
    first = min((f.first for f in truths), default=since)
    last = max((f.last for f in truths), default=since) + m.pane_ms
    made = [f for p, f in m.progress["inputs"].facts.items() if first <= p < last]
    readings = [m.shown[c].reading for c in causes]
    return Evidence(
        readings,
        list(dict.fromkeys(m.shown[c].alert_id for c in causes)),
        Data(start=stamp(first), end=stamp(last), offsets=ranges(_sources([*truths, *made]))),
        rows,
        "; ".join(r.reason for r in readings),
    )


def _sources(facts: list[Fact]) -> dict[tuple[str, int], tuple[int, int]]:
    found = Cohorts()
    for fact in facts:
        for source, offsets in fact.sources.items():
            found.came_from(source, *offsets)
    return found.sources
