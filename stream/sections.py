"""Sections: all figures of each segment by itself, the worst segments first.

They are told, and nothing of them is judged: a level of their own would be taken from what is
(`stream.comparisons`). Each is that of the segment's rows alone, beside the segment's reference.
"""

from collections.abc import Mapping, Sequence

import msgspec

from stream import blindness, estimates, scorecards
from stream.blindness import GAP
from stream.cohorts import Cohorts
from stream.estimates import ESTIMATED
from stream.events import Measured, Reading, Segment, SegmentFigures
from stream.memberships import judged
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.segments import Key, watched
from stream.settings import ModelSettings, Task
from stream.shares import Share
from stream.tallies import Tally

MOST = 20  # that are told


def of_inputs(
    reference: Reference, share: Share, settings: ModelSettings, learnt: Learnt | None = None
) -> list[SegmentFigures]:
    """The estimated accuracy of each segment that has rows enough with scores.

    learnt: what live scores mean, of all rows together.
    """
    found: list[SegmentFigures] = []
    for key, own in watched(reference, settings).items():
        part = share.segment(key)
        estimate = estimates.measured(own, part, settings, learnt)
        if estimate is not None and estimate.n >= settings.minimum_rows:
            found.append(_figures(key, part.rows, {ESTIMATED: estimate}))
    return sorted(found, key=_rise)


def _rise(found: SegmentFigures) -> float:
    estimate = found.metrics[ESTIMATED]
    return estimate.value - (estimate.reference or 0.0)


def tallies(
    reference: Reference | None, cohorts: Cohorts, settings: ModelSettings
) -> dict[Key, Tally]:
    """The outcomes of each segment whose quality the reference knows, in order.

    A segment of which more was taken back than the window itself brought has none.
    """
    known = judged(reference, settings)
    found = {key: cohorts.segments.get(key, Cohorts()).total() for key in known}
    return {key: tally for key, tally in found.items() if tally.sound()}


def of_quality(
    reference: Reference | None,
    cohorts: Cohorts,
    known: Mapping[Key, Tally],
    settings: ModelSettings,
    task: Task,
    window_s: int,
    order: Sequence[Reading],
    learnt: Learnt | None = None,
) -> list[SegmentFigures]:
    """Every metric of each segment that has labelled rows enough, and how far its estimate was off.

    known: of `tallies`. order: the readings of segments, the worst first.
    """
    found: list[SegmentFigures] = []
    for key in ((r.segment.name, r.segment.value) for r in order if r.segment):
        tally = known[key]
        rows = tally.counted().n
        if reference is None or rows < settings.minimum_rows:
            continue
        own = reference.segments[key]
        metrics = scorecards.measured(settings, own, tally, task, window_s)
        gap = blindness.measured(own, cohorts.segments[key], tally, settings, window_s, learnt)
        found.append(_figures(key, rows, metrics | ({GAP: gap} if gap else {})))
    return found


def _figures(key: Key, rows: int, metrics: dict[str, Measured]) -> SegmentFigures:
    return SegmentFigures(segment=Segment(name=key[0], value=key[1]), n=rows, metrics=metrics)


def told(found: Sequence[SegmentFigures]) -> list[SegmentFigures] | msgspec.UnsetType:
    """Those that an evaluation tells of."""
    return [*found[:MOST]] or msgspec.UNSET


def notes(found: Sequence[SegmentFigures]) -> list[str]:
    """How many segments are left out, for there are too many."""
    more = len(found) - MOST
    said = f"figures by segment are those of the {MOST} worst; {more:,} more have rows enough"
    return [said] * (more > 0)
