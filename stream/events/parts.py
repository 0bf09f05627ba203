"""What stands in published events and has parts of its own: what became of a request to retrain."""

from typing import Literal

import msgspec

Kept = Literal["worked", "did-not", "not-known"]


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose segment of a `name` has this `value`."""

    name: str
    value: str


class Valued(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's value over `n` labelled predictions, with its 95% interval."""

    value: float
    low: float
    high: float
    n: int


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One value less another, with its 95% interval."""

    value: float
    low: float
    high: float


class Promised(msgspec.Struct, frozen=True, kw_only=True):
    """One metric that a request to retrain was about, before and after it.

    `promised`: the worst value that is good enough, and by what.
    """

    metric: str
    segment: Segment | None = None
    verdict: Kept
    reason: str
    before: Valued
    now: Valued | None = None
    change: Changed | None = None
    promised: float | None = None
    promised_by: Literal["objective", "reference"] | None = None


class Retrained(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request to retrain: told once.

    Of the predictions that the new version made in [start, end), `labelled` of which had their
    truth by then. `replaces`: the version that the request was about.
    """

    request_id: str
    replaces: str
    verdict: Kept
    reason: str
    start: str
    end: str
    predictions: int
    labelled: int
    metrics: list[Promised]
