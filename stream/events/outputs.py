"""What Driftline publishes: evaluations, alerts and retrain requests.

Every field is always written, null where nothing is known: consumers need no defaults. Numbers
must be finite where they are not optional; an optional NaN or infinity is written as null.
"""

import json
import urllib.parse
import uuid
from typing import Literal

import msgspec

from stream.events.parts import Contest, Retrained, Segment

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:driftline:events")
Detail = float | int | str | list[float | int | str | None] | None
Judged = Literal["ok", "moved", "small", "insignificant", "not-enough-data", "no-reference"]


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """How large a change is: `value` and `floor` (what matters) in `unit`."""

    name: str
    value: float
    floor: float | None = None
    unit: str


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One check's or detector's result. `n`: rows looked at; `n_reference`: rows compared with.

    segment: the rows looked at; it is not written where these are all.
    """

    check: str
    subject: str
    role: Literal["input", "output", "quality", "detector", "data"]
    statistic: float | None = None
    p_value: float | None = None
    level: float | None = None
    effect: Effect | None = None
    n: int
    n_reference: int | None = None
    verdict: Judged
    reason: str
    details: dict[str, Detail] = {}
    segment: Segment | msgspec.UnsetType = msgspec.UNSET


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Event time from `start` up to, not including, `end`; RFC 3339."""

    start: str
    end: str
    panes: int
    revision: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the three moved (None: not known) and what that usually means."""

    inputs: bool | None = None
    outputs: bool | None = None
    quality: bool | None = None
    kind: str
    meaning: str
    action: str


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """The share of predictions whose truth has come by an age; `predictions`: watched up to it."""

    age_seconds: int
    share: float
    predictions: int


class CohortFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over the `n` outcomes of a cohort that it can be read from, with a 95% interval."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int


class CohortFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Quality of the predictions made in [start, end): by the time of prediction.

    final: whether no truth about them counts any more.
    """

    start: str
    end: str
    predictions: int
    labelled: int
    figures: list[CohortFigure]
    final: bool | msgspec.UnsetType = msgspec.UNSET


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """What is known, and not known, of the truth that figures of quality rest on.

    `provisional`: whether the figures are. `predictions`, `labelled`: in all cohorts that outcomes
    of the window are of, so far. Cohorts, coverage by age and delays: of all that are remembered.
    Delays are of all predictions: null where the truth of that share has not come yet. `late`:
    outcomes of the window that were known after its pane was sealed. `completed`: quality of the
    cohorts that became complete with the window's last pane, told once. `corrected`: the same of
    cohorts that were told of before, with what became known since.
    """

    provisional: bool
    predictions: int
    labelled: int
    cohorts_complete: int
    cohorts_provisional: int
    coverage_by_age: list[Coverage] = []
    delay_median_seconds: int | None = None
    delay_p90_seconds: int | None = None
    late: int = 0
    completed: list[CohortFigures] = []
    corrected: list[CohortFigures] | msgspec.UnsetType = msgspec.UNSET


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One metric's value with its 95% interval, and what it is on the reference."""

    value: float
    low: float
    high: float
    n: int
    reference: float | None = None


class Confused(msgspec.Struct, frozen=True, kw_only=True):
    """How often an answer was given to a label."""

    label: str
    answer: str
    n: int


class Tenth(msgspec.Struct, frozen=True, kw_only=True):
    """A tenth of the rows by score. captured: positives in it and in those of higher scores."""

    rows: float
    positives: float
    lift: float
    captured: float


class GroupFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The figure of one group of a protected name, with its 95% interval, over n of its rows."""

    group: str
    value: float
    low: float
    high: float
    n: int


class Disparity(msgspec.Struct, frozen=True, kw_only=True):
    """How far apart the groups of a protected `segment` are in one metric, at most.

    low, high: 95% interval of the largest difference, or the smallest ratio. n: rows of `groups`;
    left_out: groups with too few rows, or whose answers cannot be told.
    """

    metric: str
    segment: str
    value: float
    low: float
    high: float
    n: int
    groups: list[GroupFigure]
    left_out: list[str] = []


class SegmentFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Every metric over the `n` rows of one segment, beside what it is on the reference's rows."""

    segment: Segment
    n: int
    metrics: dict[str, Measured]


class Recalibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What labels let expect where a model recalibrates itself, told and not judged.

    since: when the lesson was made that counts, and from when on it counts; of `labels` outcomes of
    complete cohorts, predicted in [learnt_from, learnt_until). chances: what scores of 0, 0.1, ...,
    1 mean by it. accuracy: estimated for the predictions made in the window. gap: such estimates
    less what came, of outcomes of the window, each by the lesson that counted when it was
    predicted; null of too few.
    """

    since: str
    learnt_from: str
    learnt_until: str
    labels: int
    chances: list[float]
    accuracy: Measured | None
    gap: Measured | None
    reason: str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All readings of one window of one model version, good and bad.

    segments: the worst of each segment, worst segments first. by_segment: all figures of those that
    have rows enough, told and not judged, in the same order; it is not written where there are
    none. retrained: where it is about a whole request to retrain, and not about a window alone;
    else it is not written. beside: of a challenger, itself beside each other version, then by
    segment, worst segments first; of others it is not written. recalibrated: of quality, where
    labels have taught the model's watch by themselves; else it is not written.
    """

    id: str
    type: str = "driftline.evaluation.v1"
    time: str
    schema: int = 1
    model: str
    version: str
    reference_id: str | None = None
    subject: Literal["inputs", "quality", "detectors"]
    window: Window
    rows: int
    readings: list[Reading]
    verdict: Verdict
    notes: list[str] = []
    labels: Labels | None = None
    segments: list[Reading] = []
    metrics: dict[str, Measured] = {}
    confusion: list[Confused] = []
    tenths: list[Tenth] = []
    disparities: list[Disparity] = []
    by_segment: list[SegmentFigures] | msgspec.UnsetType = msgspec.UNSET
    retrained: Retrained | msgspec.UnsetType = msgspec.UNSET
    beside: list[Contest] | msgspec.UnsetType = msgspec.UNSET
    recalibrated: Recalibrated | msgspec.UnsetType = msgspec.UNSET

    @property
    def judged(self) -> list[Reading]:
        """Readings of all rows, then those of segments."""
        return [*self.readings, *self.segments]


class Sureness(msgspec.Struct, frozen=True, kw_only=True):
    """The figures behind an alert, in one place."""

    p_value: float | None = None
    level: float | None = None
    effect: Effect | None = None
    n: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One of what an alert is about. `share`: of all that moved, as far as this explains it."""

    cause: str
    new: bool
    share: float | None = None
    reading: Reading


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One change of state of one cause of one model version.

    parts: all that it is about, what is new first, then what explains most; `others`: how many are
    not among them, for there are too many. `reading`: of the first.
    """

    id: str
    type: str = "driftline.alert.v1"
    time: str
    schema: int = 1
    model: str
    version: str
    cause: str
    state: Literal["pending", "firing", "resolved"]
    previous: str
    reason: str
    since: str
    severity: Literal["page", "notice"]
    summary: str
    how_sure: Sureness
    meaning: str
    action: str
    owner: str | None = None
    window: Window
    reading: Reading
    verdict: Verdict
    evaluation_id: str
    parts: list[Part] = []
    others: int = 0

    @property
    def readings(self) -> list[Reading]:
        """Of all parts; an alert of an earlier release has one."""
        return [part.reading for part in self.parts] or [self.reading]


class OffsetRange(msgspec.Struct, frozen=True, kw_only=True):
    """Records `first` to `last`, both included, of one partition."""

    topic: str
    partition: int
    first: int
    last: int


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Where the data to train on lies: event time [start, end) and the records that hold it."""

    start: str
    end: str
    offsets: list[OffsetRange]


class RetrainRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a retraining system. Act once per `idempotency_key`."""

    id: str
    type: str = "driftline.retrain-request.v1"
    time: str
    schema: int = 1
    model: str
    version: str
    reason: str
    evidence: list[Reading]
    alert_ids: list[str]
    verdict: Verdict
    data: Data
    labelled_rows: int
    priority: Literal["high", "normal"]
    deadline: str
    idempotency_key: str
    owner: str | None = None


Output = Evaluation | Alert | RetrainRequest
_encoder = msgspec.json.Encoder()


def encode(event: Output) -> bytes:
    """The event as plain JSON."""
    return _encoder.encode(event)


def headers(event: Output) -> list[tuple[str, bytes]]:
    """Its CloudEvents 1.0 attributes, Kafka binding, binary mode."""
    path = "/".join(urllib.parse.quote(part, safe="") for part in (event.model, event.version))
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": event.id,
        "ce_type": event.type,
        "ce_source": f"/driftline/{path}",
        "ce_time": event.time,
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def event_id(*parts: str | int) -> str:
    """The id that an event's identity has, always: a UUID of version 5 of its parts.

    >>> event_id("alert", "claims", 7) == event_id("alert", "claims", 7)
    True
    """
    return str(uuid.uuid5(NAMESPACE, json.dumps(parts, ensure_ascii=True)))
