"""Splits: two versions that answer different predictions, as in an A/B test, side by side.

Read from what is published of each: the evaluations of one window, in their newest revision, and a
cohort that is complete in both. Whatever order evaluations are read in, the same is found. As the
rows are others, an interval of a difference is that of two figures apart (`intervals.less`).
"""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from stream import differences, intervals
from stream.events import (
    CohortFigures,
    Compared,
    Contest,
    Evaluation,
    Measured,
    Segment,
    Window,
)
from stream.events.times import milliseconds
from stream.intervals import Figure

MOST = 2_000  # windows and cohorts of a version that are remembered: the newest


class Unmatched(ValueError):
    """Nothing to compare; the text says what there is."""


class Span(NamedTuple):
    """Event time in milliseconds; sorts by its end."""

    end_ms: int
    start_ms: int

    @classmethod
    def of(cls, start: str, end: str) -> "Span":
        """From RFC 3339 text."""
        return cls(*(milliseconds(datetime.datetime.fromisoformat(text)) for text in (end, start)))

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


class OfSegment(msgspec.Struct, frozen=True, kw_only=True):
    """The same of the rows of one segment."""

    segment: Segment
    metrics: list[Compared]


class OfCohort(msgspec.Struct, frozen=True, kw_only=True):
    """Of the predictions made in [start, end), whose truth is in for both versions.

    final: whether no truth about them counts any more.
    """

    start: str
    end: str
    final: bool
    metrics: list[Compared]


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A version beside another over one window of truth.

    provisional: of which of them the figures are. rows: of `version`, and of `beside`. pairs: what
    the version's evaluation has of predictions that both have answered, where there are any.
    """

    model: str
    version: str
    beside: str
    window: Window
    provisional: list[str]
    metrics: list[Compared]
    segments: list[OfSegment] = []
    cohort: OfCohort | None = None
    pairs: list[Contest] = []


@dataclasses.dataclass(slots=True)
class _Version:
    """Of one version: evaluations by window, and figures by cohort with when they were told."""

    windows: dict[Span, Evaluation] = dataclasses.field(default_factory=dict)
    cohorts: dict[Span, tuple[tuple[Span, int], CohortFigures]] = dataclasses.field(
        default_factory=dict
    )

    def update(self, found: Evaluation) -> None:
        """Take one in, unless a newer revision is known."""
        span = Span.of(found.window.start, found.window.end)
        known = self.windows.get(span)
        if known is None or known.window.revision <= found.window.revision:
            self.windows[span] = found
        told = (span, found.window.revision)
        for cohort in _cohorts(found):
            own = Span.of(cohort.start, cohort.end)
            if own not in self.cohorts or self.cohorts[own][0] <= told:
                self.cohorts[own] = told, cohort
        for kept in (self.windows, self.cohorts):
            while len(kept) > MOST:
                del kept[min(kept)]


def _cohorts(found: Evaluation) -> Iterator[CohortFigures]:
    if found.labels is not None:
        yield from found.labels.completed
        yield from found.labels.corrected or []


class Splits:
    """What was published of the quality of a model's versions."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._versions: dict[str, _Version] = {}

    def update(self, found: Evaluation) -> None:
        """Take one evaluation in; others than of windows of this model's quality say nothing."""
        if found.model == self.model and found.subject == "quality" and not found.retrained:
            self._versions.setdefault(found.version, _Version()).update(found)

    def between(self, version: str, beside: str) -> list[Split]:
        """Of each length of windows the newest that both versions have figures of; shortest first.

        Raises Unmatched.
        """
        new, old = self._of(version), self._of(beside)
        both = {
            span
            for span in new.windows.keys() & old.windows.keys()
            if new.windows[span].metrics and old.windows[span].metrics
        }
        if not both:
            raise Unmatched(
                f"no window has figures of both: those of {version} end {_ends(new.windows)}, "
                f"those of {beside} {_ends(old.windows)}"
            )
        newest = {span.length_ms: span for span in sorted(both)}
        cohort = _of_cohort(new.cohorts, old.cohorts)
        return [
            _split(new.windows[span], old.windows[span], cohort)
            for _, span in sorted(newest.items())
        ]

    def _of(self, version: str) -> _Version:
        if version in self._versions:
            return self._versions[version]
        known = ", ".join(sorted(self._versions)) or "none"
        raise Unmatched(
            f"nothing was published of the quality of {self.model} {version}; versions with "
            f"evaluations of quality: {known}"
        )


def _ends(windows: Mapping[Span, Evaluation]) -> str:
    told = sorted((span, found.window) for span, found in windows.items() if found.metrics)
    return f"from {told[0][1].end} to {told[-1][1].end}" if told else "nowhere"


def _split(new: Evaluation, old: Evaluation, cohort: OfCohort | None) -> Split:
    sides = (new, old)
    provisional = [one.version for one in sides if one.labels and one.labels.provisional]
    return Split(
        model=new.model,
        version=new.version,
        beside=old.version,
        window=new.window,
        provisional=provisional,
        metrics=compared(new.metrics, old.metrics),
        segments=_by_segment(new, old),
        cohort=cohort,
        pairs=[one for one in new.beside or [] if one.champion == old.version],
    )


def _by_segment(new: Evaluation, old: Evaluation) -> list[OfSegment]:
    """Of the segments that both tell of, as the new version has them: the worst first."""
    theirs = {one.segment: one.metrics for one in old.by_segment or []}
    return [
        OfSegment(segment=one.segment, metrics=compared(one.metrics, theirs[one.segment]))
        for one in new.by_segment or []
        if one.segment in theirs
    ]


def _of_cohort(
    new: Mapping[Span, tuple[object, CohortFigures]],
    old: Mapping[Span, tuple[object, CohortFigures]],
) -> OfCohort | None:
    """The newest that has figures in both."""
    for span in sorted(new.keys() & old.keys(), reverse=True):
        ours, theirs = new[span][1], old[span][1]
        metrics = compared(_measured(ours), _measured(theirs))
        if metrics:
            final = bool(ours.final) and bool(theirs.final)
            return OfCohort(start=ours.start, end=ours.end, final=final, metrics=metrics)
    return None


def _measured(cohort: CohortFigures) -> dict[str, Measured]:
    return {
        one.metric: Measured(value=one.value, low=one.low, high=one.high, n=one.n)
        for one in cohort.figures
        if one.low is not None and one.high is not None
    }


def compared(new: Mapping[str, Measured], old: Mapping[str, Measured]) -> list[Compared]:
    """Each metric that both have, in the order of the first."""
    return [_compared(name, new[name], old[name]) for name in new if name in old]


def _compared(name: str, new: Measured, old: Measured) -> Compared:
    ours, theirs = (Figure(one.value, one.n, one.low, one.high) for one in (new, old))
    return differences.compared(name, ours, theirs, intervals.less(ours, theirs), paired=False)
