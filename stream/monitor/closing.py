"""Closing the loop: a version that answers a request to retrain is held against what was asked.

All of it follows from sealed panes, read in their order: if the answer comes late, the panes that
were judged meanwhile are read again, and the same is said as if it had come at once.
"""

import msgspec

from stream import trials
from stream.alerts import Rule
from stream.events import Evaluation, Reading
from stream.monitor import alarms, state
from stream.monitor.memory import KINDS, Memory
from stream.monitor.telling import Sight
from stream.panes import BEFORE_ALL
from stream.retrainings import CHECK, FAILED, retrained_evaluation, retrained_reading, told_before
from stream.signals import Kind, ShareName
from stream.subjects import Subject
from stream.trials import Trial

MOST_PANES = 4  # that are read again before the shell may do something else
UNSEEN = "retraining-not-compared"  # what a version did first is not remembered any more
AT_ONCE = Rule(hold=1, clear=1)


def hand_over(old: Memory, new: Memory) -> None:
    """Begin the trial of a version that answers another one's request."""
    asked = old.loop.asked
    if asked is None or asked.answer != new.version:
        return
    old.loop.ask(None)
    if new.loop.trial is None:
        new.loop.trial = Trial(asked)


def wanted(m: Memory) -> list[ShareName]:
    """The sealed shares that the next `advance` needs."""
    windows = m.windows["quality"]
    return [
        name
        for pane in _panes(m)
        for name in sorted(windows.named[pane])
        if pane not in windows.panes or name not in windows.panes[pane].names
    ]


def _panes(m: Memory) -> list[int]:
    """Panes of label time that are to be counted next, in order."""
    trial, done_ms = m.loop.trial, m.progress["quality"].done_ms
    if trial is None or trial.start_ms is None or trial.fired_ms is not None:
        return []
    since_ms, limit_ms = trial.quality_ms, _limit_ms(m, trial)
    panes = (p for p in m.windows["quality"].named if since_ms <= p < limit_ms)
    return sorted(p for p in panes if p + m.pane_ms <= done_ms)[:MOST_PANES]


def _until_ms(m: Memory, trial: Trial) -> int:
    """The end of the predictions that are compared."""
    assert trial.start_ms is not None
    return trial.start_ms + trials.length_ms(m.settings)


def _limit_ms(m: Memory, trial: Trial) -> int:
    """When no more truth is waited for."""
    return _until_ms(m, trial) + trials.wait_ms(m.settings)


def advance(m: Memory) -> bool:
    """Count what is known of the trial, and say what it came to. Whether more is due at once.

    What changes says so itself: a trial waits for weeks, and a monitor would be saved each time.
    """
    trial = m.loop.trial
    if trial is None:
        return False
    if trial.fired_ms is not None:
        _over(m, trial)
    elif not m.settings.retrain_trial_s:
        _end(m)  # it was switched off meanwhile
    elif trial.start_ms is not None or _begin(m, trial):
        _count(m, trial)
    return bool(_panes(m))


def _count(m: Memory, trial: Trial) -> None:
    _predictions(m, trial)
    windows = m.windows["quality"]
    for pane in _panes(m):
        known = windows.panes.get(pane)
        if known is None or known.names != windows.named[pane]:
            return
        trial.add(known.cohorts, _until_ms(m, trial))
        trial.quality_ms = pane + m.pane_ms
        if _enough(m, trial):
            _tell(m, trial, trial.quality_ms)
            return
    if not _panes(m) and _no_more(m, trial):
        _tell(m, trial, _limit_ms(m, trial))


def _begin(m: Memory, trial: Trial) -> bool:
    """Whether there are predictions since it was asked for; with the first of them it begins."""
    requested_ms, done_ms = trial.asked.requested_ms, m.progress["inputs"].done_ms
    known = (p for p in m.windows["inputs"].named if p >= requested_ms)
    first = min((p for p in known if p + m.pane_ms <= done_ms), default=None)
    oldest_ms = max(m.kept_from(kind) for kind in m.progress)
    if first is None:
        return False
    if oldest_ms > requested_ms and first <= oldest_ms + m.pane_ms:
        m.counts[UNSEEN] = m.counts.get(UNSEEN, 0) + 1
        m.touched = True
        _end(m)
        return False
    trial.begin(first)
    return True


def _predictions(m: Memory, trial: Trial) -> None:
    """Count the predictions of the trial, pane by pane, while their names are remembered."""
    until_ms = min(_until_ms(m, trial), m.progress["inputs"].done_ms)
    if trial.inputs_ms >= until_ms:
        return
    named = m.windows["inputs"].named
    panes = (p for p in named if trial.inputs_ms <= p < until_ms)
    trial.predictions += sum(m.windows["inputs"].rows(pane) for pane in panes)
    trial.inputs_ms, trial.touched = until_ms, True


def _enough(m: Memory, trial: Trial) -> bool:
    """Whether the truth of the trial's predictions is in."""
    if trial.quality_ms < _until_ms(m, trial):
        return False
    return trial.labelled >= m.settings.complete_coverage * trial.predictions


def _no_more(m: Memory, trial: Trial) -> bool:
    """Whether all that is waited for has been counted, and no more is to come."""
    limit_ms = _limit_ms(m, trial)
    if min(m.low_ms("quality"), m.low_ms("inputs")) < limit_ms:
        return False
    return all(_newest_ms(m, kind, limit_ms) <= m.progress[kind].done_ms for kind in KINDS)


def _newest_ms(m: Memory, kind: Kind, until_ms: int) -> int:
    """The end of the last pane that ends by a time."""
    ends = (pane + m.pane_ms for pane in m.windows[kind].named)
    return max((end for end in ends if end <= until_ms), default=BEFORE_ALL)


def _tell(m: Memory, trial: Trial, at_ms: int) -> None:
    """Say what the trial came to; where it came to nothing good, by a notice too."""
    of = _subject(m, trial, at_ms)
    reference = m.reference_at(at_ms - m.pane_ms)
    found = retrained_evaluation(of, trial, _until_ms(m, trial), reference)
    m.publish(found)
    if found.verdict.kind != FAILED or m.burns_in(at_ms - 1):
        _end(m)
        return
    trial.fired_ms, trial.touched, trial.outcomes = at_ms, True, {}
    _notice(m, of, found, retrained_reading(found))
    _over(m, trial)


def _over(m: Memory, trial: Trial) -> None:
    """End the notice of a trial once it is as old as evidence may be: nothing else ends it."""
    assert trial.fired_ms is not None
    over_ms = trial.fired_ms + trials.notice_ms(m.settings)
    if m.low_ms("quality") < over_ms:
        return
    told = m.shown.get(CHECK)
    if told is not None:
        of = _subject(m, trial, over_ms)
        found = told_before(of, trial)
        ended = msgspec.structs.replace(told.reading, verdict="ok")
        _notice(m, of, found, ended)
    _end(m)


def _notice(m: Memory, of: Subject, found: Evaluation, reading: Reading) -> None:
    sight = Sight(CHECK, reading, found, m.settings.windows_s[0], AT_ONCE, of.start_ms)
    alarms.observe(m, of, sight)


def _subject(m: Memory, trial: Trial, end_ms: int) -> Subject:
    assert trial.start_ms is not None
    return Subject(m.model, m.version, m.settings, trial.start_ms, end_ms)


def _end(m: Memory) -> None:
    m.loop.trial = None
    m.changes.delete(f"trial/{m.key}")


def forget(m: Memory) -> bool:
    """Drop panes that were read again; whether more of them are to be read."""
    if m.loop.trial is None:
        return False
    state.forget(m, "quality")
    return bool(_panes(m))
