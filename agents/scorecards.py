"""Scorecards: what an evaluation says of quality besides what moved, as lines for people."""

from collections.abc import Callable, Iterator

import msgspec

from stream import figures
from stream.blindness import GAP
from stream.comparisons import words
from stream.estimates import ESTIMATED
from stream.events import CohortFigures, Evaluation, Labels, Measured, Reading
from stream.quality import metrics_of
from stream.settings import ModelSettings
from stream.stamps import span

MOST_COHORTS = 5
MOST_CONFUSED = 3
MOST_FIGURES = 4  # of a cohort, and of a segment
MOST_SEGMENTS = 5
METRICS = metrics_of(ModelSettings())
SIDES = {"higher": "at least", "lower": "at most", "zero": "at most"}
When = Callable[[str], str]


def scorecard(found: Evaluation, when: When) -> list[str]:
    """Every metric beside its reference and objective, how much truth they rest on, estimates; the
    worst segments.

    when: names a time.
    """
    told = [
        reading.reason
        for reading in found.readings
        if reading.check in (ESTIMATED, GAP) and reading.verdict != "moved"
    ]
    if found.labels is not None:
        told.append(truth_text(found.labels))
    told += metric_lines(found)
    told += segment_lines(found)
    told += _confused(found)
    labels = found.labels
    if labels is not None:
        told += _cohorts("complete", labels.completed, when)
        told += _cohorts("corrected", labels.corrected or [], when)
    return told


def truth_text(labels: Labels) -> str:
    """How much of the truth is in, whether that is enough, and how long it takes."""
    state = "provisional" if labels.provisional else "not provisional"
    cohorts = labels.cohorts_complete + labels.cohorts_provisional
    said = f"{state}: truth of {labels.labelled:,} of {labels.predictions:,} predictions"
    if labels.predictions:
        said += f", {figures.share(labels.labelled / labels.predictions)}"
    said += f"; {labels.cohorts_complete:,} of {cohorts:,} cohorts are complete"
    delays = (("half", labels.delay_median_seconds), ("90%", labels.delay_p90_seconds))
    known = [f"{share} within {span(s)}" for share, s in delays if s is not None]
    return f"{said}; of all truth comes {', '.join(known)}" if known else said


def metric_lines(found: Evaluation) -> list[str]:
    """A line each: value, 95% interval, n, and what it is held against."""
    readings = {r.check: r for r in found.readings}
    rows = [_row(name, m, readings.get(name)) for name, m in found.metrics.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(name: str, m: Measured, reading: Reading | None) -> tuple[str, ...]:
    called = METRICS[name].words if name in METRICS else name
    low, high = figures.pair(m.low, m.high)
    against = [] if m.reference is None else [f"reference {figures.number(m.reference)}"]
    goal = None if reading is None else reading.details.get("objective")
    if reading is not None and isinstance(goal, int | float) and name in METRICS:
        against.append(objective_text(name, goal, m, reading))
    value, ends = figures.number(m.value), f"95% {low} to {high}"
    return called, value, ends, f"n {m.n:,}", ", ".join(against)


def objective_text(name: str, goal: float, m: Measured, reading: Reading) -> str:
    """What was promised, and whether the interval shows that it is kept or missed."""
    direction = METRICS[name].direction
    good, bad = {
        "higher": (m.low >= goal, m.high < goal),
        "lower": (m.high <= goal, m.low > goal),
        "zero": (-goal <= m.low and m.high <= goal, m.low > goal or m.high < -goal),
    }.get(direction, (False, False))
    state = "met" if good else "not sure, the interval holds it"
    if bad:
        state = "MISSED" if reading.verdict == "moved" else "missed, but not judged"
    return f"objective {SIDES.get(direction, '')} {figures.number(goal)}: {state}"


def segment_lines(found: Evaluation) -> list[str]:
    """The worst segments: of each the figure that is judged first, and how far estimates are off.

    A segment's reference is of its own rows.
    """
    some = [] if found.by_segment is msgspec.UNSET else found.by_segment
    judged = {r.segment: r.check for r in found.segments if r.segment and r.role == "quality"}
    lines = []
    for one in some[:MOST_SEGMENTS]:
        first = judged.get(one.segment)
        order = sorted(one.metrics, key=lambda name: (name != first, name != GAP))
        told = [_of_segment(name, one.metrics[name]) for name in order]
        said = figures.listed(told, MOST_FIGURES)
        lines.append(f"{words(one.segment)} (n {one.n:,}): {said}")
    more = len(some) - MOST_SEGMENTS
    return lines + [f"and {more:,} more segments"] * (more > 0)


def _of_segment(name: str, m: Measured) -> str:
    called = METRICS[name].words if name in METRICS else name.replace("-", " ")
    low, high = figures.pair(m.low, m.high)
    was = "" if m.reference is None else f", reference {figures.number(m.reference)}"
    return f"{called} {figures.number(m.value)} (95% {low} to {high}{was})"


def _confused(found: Evaluation) -> Iterator[str]:
    """The most frequent wrong answers."""
    wrong = [c for c in found.confusion if c.label != c.answer]
    told = [f"{c.answer} where it was {c.label} ({c.n:,})" for c in wrong]
    if told:
        yield f"wrong answers: {figures.listed(told, MOST_CONFUSED)}"


def _cohorts(state: str, some: list[CohortFigures], when: When) -> Iterator[str]:
    """Cohorts of predictions that are complete now, or others than they were."""
    for one in some[:MOST_COHORTS]:
        told = [
            f"{METRICS[f.metric].words if f.metric in METRICS else f.metric}"
            f" {figures.number(f.value)} (n {f.n:,})"
            for f in one.figures
        ]
        known = f"truth of {one.labelled:,} of {one.predictions:,}"
        cohort = f"predictions from {when(one.start)} to {when(one.end)}"
        said = figures.listed(told, MOST_FIGURES) or "no figures"
        yield f"{state}: {cohort}: {known}{_final(one)}; {said}"
    if some[MOST_COHORTS:]:
        yield f"and {len(some) - MOST_COHORTS:,} more {state} cohorts"


def _final(one: CohortFigures) -> str:
    """Whether its figures may change; earlier releases did not say."""
    if one.final is msgspec.UNSET:
        return ""
    return ", final" if one.final else ", more may come"
