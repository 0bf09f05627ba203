"""Aging: what a monitor learns of the truth of its cohorts, pane by pane of label time."""

from stream.ages import Census
from stream.cohorts import Cohorts
from stream.coverage import labels_of
from stream.evaluations import Subject
from stream.events import Labels
from stream.monitor.memory import Memory


def count(m: Memory, pane: int) -> None:
    """Count what became known in a pane of label time that is judged for the first time."""
    if m.ages is not None:
        known = m.windows["quality"].panes.get(pane)
        m.ages.add(pane, known.cohorts if known else Cohorts())
        end_ms = pane + m.pane_ms
        m.ages.age(end_ms)
        m.ages.ripen(end_ms, m.ages.census(end_ms, m.settings), m.settings)


def count_late(m: Memory, pane: int) -> None:
    """Count what was named after that."""
    known = m.windows["quality"].panes.get(pane)
    if m.ages is None or known is None:
        return
    for name in sorted(n for n in m.ages.late if n.pane == pane):
        if name in known.names:
            m.ages.add(pane, known.later.get(name, Cohorts()))
            m.ages.late.discard(name)


def census(m: Memory, end_ms: int) -> Census | None:
    """What is known of all cohorts once all up to a pane's end has been counted."""
    if m.ages is None:
        return None
    return m.ages.census(max(end_ms, m.progress["quality"].done_ms), m.settings)


def labels(m: Memory, of: Subject, outcomes: Cohorts, found: Census | None) -> Labels | None:
    """What is known of the truth that outcomes of a window are made of."""
    if found is None or m.ages is None:
        return None
    ripe = m.ages.ripe_ms is not None and m.ages.ripe_ms <= of.start_ms
    late = m.windows["quality"].late(of.end_ms, of.end_ms - of.start_ms)
    return labels_of(m.settings, found, _by_cohort(m, outcomes), ripe=ripe, late=late)


def _by_cohort(m: Memory, outcomes: Cohorts) -> dict[int, int]:
    """Outcomes by the cohort of their predictions."""
    assert m.ages is not None
    found: dict[int, int] = {}
    for exponent, some in outcomes.strata().items():
        for pane, tally in some.cells.items():
            start = m.ages.start_of(pane)
            found[start] = found.get(start, 0) + (tally.n << exponent)
    return found
