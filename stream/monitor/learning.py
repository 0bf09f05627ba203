"""Learning: lessons where quality is judged, and what they let expect of the newest predictions.

The predictions of a window are counted anew there: those of its inputs may have been judged long
before.
"""

import msgspec

from stream import estimates
from stream.alerts import QUIET
from stream.cohorts import Cohorts
from stream.courses import gap_of, recalibrated
from stream.events import Recalibrated
from stream.labelling import DELAY, MIX
from stream.monitor.memory import Memory
from stream.signals import ShareName
from stream.subjects import Subject

BESIDE = "recalibrated"  # tells sums of windows apart from those of inputs


def wanted(m: Memory, end_ms: int) -> list[ShareName]:
    """The sealed shares of predictions that windows of quality need which end then."""
    if m.course is None or m.collects:
        return []
    return m.windows["inputs"].wanted(end_ms, m.longest_ms)


def teach(m: Memory, end_ms: int) -> None:
    """Make the lesson that is due, once all truth of a pane of label time has been counted.

    Nothing is learnt of what was gathered until a notice about labels is over: they may be wrong.
    """
    if m.course is None:
        return
    if any(m.alerts.get(f"data:{check}", QUIET).state == "firing" for check in (DELAY, MIX)):
        m.course.drop()
        return
    oldest_ms = end_ms - m.settings.horizon_s * 1000 - m.longest_ms
    reference = m.reference_at(end_ms - m.pane_ms)
    m.course.teach((m.model, m.version), reference, end_ms, oldest_ms)


def told(
    m: Memory, of: Subject, window_ms: int, cohorts: Cohorts
) -> Recalibrated | msgspec.UnsetType:
    """What the lesson that counts lets expect of a window's predictions; unset without one."""
    reference = m.reference_at(of.end_ms - m.pane_ms)
    if m.course is None or reference is None:
        return msgspec.UNSET
    learnt = m.course.lessons.at(of.end_ms - m.pane_ms, reference.id)
    if learnt is None:
        return msgspec.UNSET
    live = m.windows["inputs"].merged(
        of.end_ms, window_ms, reference, m.settings.positive, beside=BESIDE
    )
    whole = not live.gone and of.start_ms >= m.kept_from("inputs")
    accuracy = estimates.measured(reference, live.share, m.settings, learnt) if whole else None
    gap = gap_of(reference, cohorts, m.course.lessons, m.settings)
    return recalibrated(learnt, accuracy, gap)
