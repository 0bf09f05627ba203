"""Labelling: alerts about labels themselves, which say nothing of the model.

Event time of truth comes from truth. So that it stops is told as soon as the records of others show
that time has passed, or predictions of later are known and all their truth up to then: at the
latest when truth comes again. All of them tell the same under the same id, for what is told follows
from event times alone: since when, and after how long so much truth was due that its absence says
something. How truth came in a stint is judged when the first truth behind it is.
"""

import dataclasses

from stream import labelling
from stream.alerts import Rule
from stream.cohorts import Cohorts
from stream.events import Reading
from stream.labelling import CHECKS, LEAST_EXPECTED, SILENCE
from stream.monitor import aging
from stream.monitor.alarms import observe
from stream.monitor.memory import Memory
from stream.monitor.telling import Sight
from stream.panes import BEFORE_ALL, pane_of
from stream.pauses import MARGIN, Pauses
from stream.remarks import labelling_evaluation
from stream.settings import ModelSettings
from stream.subjects import Subject

LONGER = 6  # times that a pause is looked at again, twice as long


def before(m: Memory, end_ms: int) -> None:
    """Before the truth of a pane is counted: tell of the pause and the stint that it ends."""
    start_ms = end_ms - m.pane_ms
    if m.stints is None or m.ages is None:
        return
    _learn_patience(m, end_ms)
    if m.pauses.last_ms < start_ms:
        _tell_pause(m, m.pauses, start_ms)
    if m.stints.open_ms not in (None, m.stints.start_of(start_ms)):
        _tell_stint(m)


def count(m: Memory, end_ms: int) -> None:
    """Count the truth of a pane, and end a silence that was told of."""
    if m.stints is None:
        return
    pane = end_ms - m.pane_ms
    known = m.windows["quality"].panes.get(pane)
    outcomes = known.cohorts if known else Cohorts()
    classes = aging.task_of(m, pane) == "classification" or _names_classes(outcomes)
    m.stints.add(pane, outcomes, classes=classes)
    rows = m.windows["quality"].rows(pane)
    if rows > 0:
        m.pauses.came(pane, end_ms)
        if _cause(SILENCE) in m.alerts and end_ms > m.pauses.until_ms:
            _observe(m, Subject(*_whose(m), pane, end_ms), labelling.again(rows))


def _names_classes(outcomes: Cohorts) -> bool:
    """Whether no answer or label is a number that is no class."""
    return all(
        not tally.numbers for some in outcomes.strata().values() for tally in some.cells.values()
    )


def by_the_clock(m: Memory) -> None:
    """Tell of a pause that lasts: all truth that was named has been counted.

    A pane of a challenger may have pairs of answers and no truth.
    """
    last_ms, named = m.pauses.last_ms, m.windows["quality"].named
    counted_ms = max(last_ms, m.progress["quality"].done_ms)
    if m.stints is None or last_ms == BEFORE_ALL or max(named, default=BEFORE_ALL) >= counted_ms:
        return
    made_ms = max(m.windows["inputs"].named, default=BEFORE_ALL) + m.pane_ms
    _tell_pause(m, m.pauses, min(m.low_ms("quality"), made_ms))
    quiet, lateness_ms = m.clocks.label_quiet(), round(m.settings.label_lateness_s * 1000)
    if quiet is None or m.clocks.newest_label_ms() + lateness_ms > quiet[0]:
        return
    newest_ms, reached_ms, panes = quiet
    if reached_ms - newest_ms > round(MARGIN * m.pauses.patience_ms):
        pauses = dataclasses.replace(m.pauses)
        for pane in panes:
            if pane >= pauses.last_ms:
                pauses.came(pane, pane + m.pane_ms)
        _tell_pause(m, pauses, min(reached_ms - lateness_ms, m.low_ms("inputs")))


def _learn_patience(m: Memory, end_ms: int) -> None:
    """What the clock took for silence was none, where its truth came after all."""
    quiet = m.clocks.label_quiet()
    lateness_ms = round(m.settings.label_lateness_s * 1000)
    if quiet and quiet[0] < end_ms - m.pane_ms and end_ms + lateness_ms < quiet[1]:
        m.pauses.patience_ms = max(m.pauses.patience_ms, quiet[1] - quiet[0])


def _tell_pause(m: Memory, pauses: Pauses, until_ms: int) -> None:
    """Tell of the pause since the last truth, once, if it is longer than usual and truth was due.

    pauses: with panes that are not sealed yet. until_ms: no truth came before it, and all
    predictions before it are known.
    """
    assert m.ages is not None
    assert m.stints is not None
    since_ms = pauses.last_ms
    length_ms = pauses.length_ms(min(m.settings.windows_s) * 1000, m.pane_ms)
    if length_ms is None or since_ms + length_ms > until_ms or m.pauses.told_ms == since_ms:
        return
    if m.stints.looked == (since_ms, pane_of(until_ms, m.pane_ms)):
        return
    m.stints.looked = since_ms, pane_of(until_ms, m.pane_ms)
    known = m.stints.known(since_ms - m.pane_ms)
    for times in (1 << k for k in range(LONGER)):
        end_ms = since_ms + times * length_ms
        if end_ms > until_ms:
            return
        due = m.ages.due(known, since_ms, end_ms)
        if due >= LEAST_EXPECTED:
            m.pauses.told_ms, m.pauses.until_ms = since_ms, end_ms
            m.touched = True
            reading = labelling.silence(since_ms, end_ms, due, pauses.usual_ms)
            _observe(m, Subject(*_whose(m), since_ms, end_ms), reading)
            return


def _tell_stint(m: Memory) -> None:
    """Judge the stint that is over."""
    assert m.stints is not None
    assert m.ages is not None
    stints, open_ms = m.stints, m.stints.open_ms
    assert open_ms is not None
    start_ms, stint = stints.close(*m.ages.passed(open_ms + stints.length_ms, stints.panes))
    for reading in labelling.compared(stint, start_ms, stints, m.settings):
        if reading.verdict == "moved":
            stint.odd.add(reading.check)
        if reading.verdict == "moved" or _cause(reading.check) in m.alerts:
            _observe(m, Subject(*_whose(m), start_ms, start_ms + stints.length_ms), reading)


def _observe(m: Memory, of: Subject, reading: Reading) -> None:
    reference = m.reference_at(of.start_ms)
    found = labelling_evaluation(of, reference.id if reference else None, reading)
    m.publish(found)
    if m.burns_in(of.end_ms - 1) is None:
        s = m.settings
        clear = 1 if reading.check == SILENCE else s.clear
        rule = Rule(1, clear, s.cooldown_s * 1000)
        sight = Sight(
            _cause(reading.check), reading, found, (of.end_ms - of.start_ms) // 1000, rule
        )
        observe(m, of, sight)


def _whose(m: Memory) -> tuple[str, str, ModelSettings]:
    return m.model, m.version, m.settings


def _cause(check: str) -> str:
    assert check in CHECKS
    return f"data:{check}"
