"""Aging: what a monitor learns of the truth of its cohorts, pane by pane of label time."""

from typing import cast

import msgspec

from stream.ages import Census
from stream.cohorts import Cohorts
from stream.coverage import labels_of
from stream.events import Labels
from stream.monitor.memory import Memory
from stream.quality import metrics_of
from stream.settings import Task
from stream.subjects import Subject


def count(m: Memory, pane: int) -> None:
    """Count what became known in a pane of label time that is judged for the first time."""
    if m.ages is None or m.vintages is None:
        return
    known, end_ms = m.windows["quality"].panes.get(pane), pane + m.pane_ms
    outcomes = known.cohorts if known else Cohorts()
    m.ages.add(pane, outcomes)
    m.vintages.add(outcomes, m.ages)
    m.completed = end_ms, [], []
    if m.vintages.leaving(m.ages.oldest_at(end_ms)):
        _tell(m, pane)
    m.ages.age(end_ms)
    m.ages.ripen(end_ms, m.ages.census(end_ms, m.settings), m.settings)
    _tell(m, pane)
    m.vintages.forget(m.ages)


def _tell(m: Memory, pane: int) -> None:
    """Note what there is to tell of cohorts at the end of a pane of label time."""
    assert m.ages is not None
    assert m.vintages is not None
    end_ms = pane + m.pane_ms
    found, metrics = m.ages.census(end_ms, m.settings), metrics_of(m.settings)
    task = task_of(m, pane)
    _, complete, corrected = m.completed
    corrected += m.vintages.corrected(end_ms, found, task, metrics)
    learn = None if m.course is None else m.course.gather
    complete += m.vintages.complete(end_ms, found, task, metrics, learn)


def task_of(m: Memory, pane: int) -> Task:
    """What the model does, as far as the settings or the reference of a pane say."""
    reference = m.reference_at(pane)
    if m.settings.task == "auto" and reference is not None:
        return cast(Task, reference.task)
    return m.settings.task


def count_late(m: Memory, pane: int) -> None:
    """Count what was named after that."""
    known = m.windows["quality"].panes.get(pane)
    if m.ages is None or m.vintages is None or known is None:
        return
    for name in sorted(n for n in m.ages.late if n.pane == pane):
        if name in known.names:
            outcomes = known.later.get(name, Cohorts())
            m.ages.add(pane, outcomes)
            m.vintages.add(outcomes, m.ages)
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
    labels = labels_of(m.settings, found, _by_cohort(m, outcomes), ripe=ripe, late=late)
    end_ms, new, again = m.completed
    if of.revision or end_ms != of.end_ms:
        return labels
    return msgspec.structs.replace(labels, completed=new, corrected=again or msgspec.UNSET)


def _by_cohort(m: Memory, outcomes: Cohorts) -> dict[int, int]:
    """Outcomes by the cohort of their predictions."""
    assert m.ages is not None
    found: dict[int, int] = {}
    for exponent, earlier, made, tally in outcomes.parts():
        if earlier is None:
            start = m.ages.start_of(made)
            found[start] = found.get(start, 0) + (tally.n << exponent)
    return found
