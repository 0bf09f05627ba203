"""Lessons: what live labels say of scores, to recalibrate the estimate by.

Only complete cohorts teach: the labels that come first are seldom like the rest. Nor does a cohort
some of whose labels are not kept any more.
"""

import dataclasses

import msgspec

from stream.cohorts import Cohorts
from stream.events import Recalibration
from stream.monitor import Memory
from stream.odds import OfWhat
from stream.panes import pane_of
from stream.points import columns, taught
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.tallies import Tally

MOST_MS = 1 << 62


class Unfit(ValueError):
    """Nothing can be learnt; the text says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """Of which predictions is to be learnt, and from when on it is to count.

    from_ms: None: those whose truth is still watched (`stream.ages`): of the horizon and the
    longest window. until_ms: None: all that are complete. active_ms: None: see `lesson`.
    minimum_labels: with fewer there is no lesson.
    """

    from_ms: int | None
    until_ms: int | None
    active_ms: int | None
    minimum_labels: int
    now_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class Lesson:
    """What was learnt. older, newer: the outcomes, cut in two by the time of prediction.

    cohorts: how many they are of; left_out: those that are not complete.
    """

    learnt: Learnt
    older: Tally
    newer: Tally
    cohorts: int
    left_out: int

    @property
    def tally(self) -> Tally:
        """All outcomes."""
        found = Tally()
        for part in (self.older, self.newer):
            found.merge(part)
        return found

    def trial(self, of: OfWhat) -> Learnt | None:
        """What the older half alone teaches, to be tried on the newer one."""
        points = taught(self.older, of)
        if not points or not taught(self.newer, of):
            return None
        return Learnt.of(msgspec.structs.replace(self.learnt.event, **columns(points)))


def lesson(
    m: Memory, reference: Reference, outcomes: Cohorts, kept_ms: int, asked: Asked
) -> Lesson:
    """What complete cohorts teach. Raises Unfit.

    outcomes: of all panes of label time that are kept, up to the last one that was evaluated.
    kept_ms: labels of before are not kept. It counts from the pane after those that are known on,
    so that it is there before the first window that it is about.
    """
    if reference.odds is None:
        raise Unfit("the reference has no scores with labels, so nothing is estimated from scores")
    spans, left_out = _complete(m, kept_ms, asked)
    found = Cohorts()
    for some in outcomes.since(kept_ms).strata().values():
        for pane, tally in some.cells.items():
            if any(start <= pane < end for start, end in spans):
                found.cell(pane).merge(tally)
    tally = found.total()
    points = taught(tally, reference.odds.of) if tally.sound() else []
    labels = sum(n for _, n, _ in points)
    if labels < max(1, asked.minimum_labels):
        raise Unfit(
            f"{labels:,} labels of predictions with scores in {len(found.cells):,} complete "
            f"cohorts (of {left_out:,} more the truth is not complete); "
            f"{asked.minimum_labels:,} are needed"
        )
    since, until = min(found.cells), spans[-1][1]
    event = Recalibration(
        model=m.model,
        version=m.version,
        time=asked.now_ms,
        reference_id=reference.id,
        **columns(points),
        learnt_from=since,
        learnt_until=until,
        active_from=_active(m, until) if asked.active_ms is None else asked.active_ms,
        source="driftline recalibrate",
    )
    try:
        return Lesson(Learnt.of(event), *_halves(found, tally.n), len(found.cells), left_out)
    except ValueError as error:
        raise Unfit(str(error)) from None


def _halves(found: Cohorts, rows: int) -> tuple[Tally, Tally]:
    """Outcomes of the first cohorts, which are about a half, and of the others."""
    older, newer = Tally(), Tally()
    for _, tally in sorted(found.cells.items()):
        (older if 2 * older.n < rows else newer).merge(tally)
    return older, newer


def _active(m: Memory, until: int) -> int:
    known = max(m.low_ms("inputs"), m.progress["inputs"].done_ms, until)
    return pane_of(known, m.pane_ms) + m.pane_ms


def _complete(m: Memory, kept_ms: int, asked: Asked) -> tuple[list[tuple[int, int]], int]:
    """Complete cohorts as spans of the times of predictions, in order; how many others there are.

    What is older than all that is watched (`stream.ages`) is complete by its age.
    """
    if m.ages is None:
        raise Unfit("no truth is expected of this model (expects_truth = false)")
    census = m.ages.census(m.progress["quality"].done_ms, m.settings)
    first_ms = max(kept_ms, m.ages.since_ms, asked.from_ms or 0)
    last_ms = MOST_MS if asked.until_ms is None else pane_of(asked.until_ms, m.pane_ms)
    watched_ms = min(*census.starts[:1], m.ages.oldest_ms, last_ms)
    old = [(first_ms, watched_ms)] if asked.from_ms is not None and first_ms < watched_ms else []
    inside = [
        (start, m.ages.end_of(start), bool(complete))
        for start, complete in zip(census.starts, census.complete, strict=True)
        if start >= first_ms and m.ages.end_of(start) <= last_ms
    ]
    spans = [(start, end) for start, end, complete in inside if complete]
    return old + spans, len(inside) - len(spans)
