"""What stands in published events and has parts of its own.

What became of a request to retrain, and two versions side by side.
"""

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


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of two versions on the same labelled predictions.

    change: the challenger's less the champion's. paired: whether its interval follows from the
    differences on each prediction; else the two are taken for figures of different rows. p_value:
    of a change so large if there were none, two-sided; null where it is not paired.
    """

    metric: str
    champion: Valued
    challenger: Valued
    change: Changed
    paired: bool
    p_value: float | None = None


class Swapped(msgspec.Struct, frozen=True, kw_only=True):
    """How often the challenger answered one thing where the champion answered another."""

    champion: str
    challenger: str
    n: int


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger beside a champion, on the predictions that both have answered.

    pairs: predictions that both answered, the later one in the window. disagreement: the share of
    them with different answers, of classes; distance: the mean absolute
    difference of answers that are numbers. labelled: pairs whose truth became known in the window;
    of these, of classes, how many both, one or none of the two got right.
    """

    champion: str
    segment: Segment | None = None
    reason: str
    pairs: int
    disagreement: Valued | None = None
    distance: Valued | None = None
    labelled: int
    both_right: int | None = None
    champion_right: int | None = None
    challenger_right: int | None = None
    both_wrong: int | None = None
    metrics: list[Compared] = []
    answers: list[Swapped] = []
