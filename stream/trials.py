"""Trials: what a new version's first predictions came to, beside those it was asked for.

A trial waits until the truth of all these predictions is in, so that quick truth is not taken for
all of it, and looks once: there is no second look that chance could use.
"""

import dataclasses
from typing import Self

import msgspec

from stream.cohorts import Cohorts
from stream.events import Reading, RetrainRequest, event_id
from stream.segments import Key
from stream.settings import ModelSettings
from stream.tallies import Tally

Strata = dict[int, Tally]
ALL: Key = ("", "")  # stands for all rows, where the key of a segment is looked for


class Claim(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A metric that made somebody ask: its value, and what it was to be. segment: of which rows."""

    metric: str
    segment: Key
    value: float
    low: float
    high: float
    n: int
    reference: float | None
    objective: float | None


class Asked(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request to retrain: of which version, at which event time, and why.

    answer: the version that it led to; "" as long as there is none.
    """

    request_id: str
    version: str
    requested_ms: int
    claims: list[Claim]
    answer: str = ""

    def to_bytes(self) -> bytes:
        """All of it."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """What `to_bytes` gave. Raises ValueError on anything else."""
        try:
            return msgspec.msgpack.decode(raw, type=cls)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged request to retrain: {error}") from error


def asked_of(request: RetrainRequest, requested_ms: int) -> Asked:
    """What is remembered of a request. Of a metric of several windows, the longest one counts."""
    found: dict[tuple[str, Key], Claim] = {}
    for reading in request.evidence:
        claim = _claim(reading)
        if claim is None:
            continue
        key = claim.metric, claim.segment
        known = found.get(key)
        if known is not None and claim.n <= known.n:
            known, claim = claim, known
        if known is not None and claim.objective is None:
            claim = msgspec.structs.replace(claim, objective=known.objective)
        found[key] = claim
    return Asked(request.id, request.version, requested_ms, list(found.values()))


def _claim(reading: Reading) -> Claim | None:
    value, low, high, was, goal = (
        float(x) if isinstance(x, int | float) else None
        for x in map(reading.details.get, ("value", "low", "high", "reference", "objective"))
    )
    if value is None or low is None or high is None:
        return None
    of = reading.segment
    segment = (of.name, of.value) if of else ALL
    return Claim(reading.check, segment, value, low, high, reading.n, was, goal)


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    asked: Asked
    start_ms: int | None
    inputs_ms: int
    quality_ms: int
    predictions: int
    fired_ms: int | None
    outcomes: list[tuple[str, str, int, bytes]]


@dataclasses.dataclass(slots=True)
class Trial:
    """The first weeks of a version that answers a request.

    start_ms: of the pane of its first predictions; None: not known yet. inputs_ms, quality_ms: up
    to where predictions and outcomes are counted. predictions: of the trial. outcomes: of these,
    by segment and exponent of the sample. fired_ms: when its notice went out; then it only waits
    until that is over.
    """

    asked: Asked
    start_ms: int | None = None
    inputs_ms: int = 0
    quality_ms: int = 0
    predictions: int = 0
    outcomes: dict[Key, Strata] = dataclasses.field(default_factory=dict)
    fired_ms: int | None = None
    touched: bool = True

    def begin(self, start_ms: int) -> None:
        """The first predictions have come."""
        self.start_ms = self.inputs_ms = self.quality_ms = start_ms
        self.touched = True

    def add(self, outcomes: Cohorts, until_ms: int) -> None:
        """Count outcomes of predictions before a time."""
        keys = dict.fromkeys([ALL, *(claim.segment for claim in self.asked.claims)])
        for key in keys:
            own = outcomes if key == ALL else outcomes.segments.get(key)
            if own is not None:
                self._add(key, own, until_ms)
        self.touched = True

    def _add(self, key: Key, outcomes: Cohorts, until_ms: int) -> None:
        assert self.start_ms is not None
        for exponent, _, made, tally in outcomes.parts():
            if self.start_ms <= made < until_ms:
                strata = self.outcomes.setdefault(key, {})
                strata.setdefault(exponent, Tally()).merge(tally)

    @property
    def labelled(self) -> int:
        """Predictions whose truth is in, with those that they are a sample of."""
        return sum(tally.n << k for k, tally in self.outcomes.get(ALL, {}).items())

    def to_bytes(self) -> bytes:
        """All of it."""
        self.touched = False
        outcomes = [
            (*key, k, tally.to_bytes())
            for key, strata in sorted(self.outcomes.items())
            for k, tally in sorted(strata.items())
        ]
        times = (self.start_ms, self.inputs_ms, self.quality_ms)
        packed = _Packed(self.asked, *times, self.predictions, self.fired_ms, outcomes)
        return msgspec.msgpack.encode(packed)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """What `to_bytes` gave. Raises ValueError on anything else."""
        try:
            s = msgspec.msgpack.decode(raw, type=_Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged trial: {error}") from error
        found = cls(s.asked, s.start_ms, s.inputs_ms, s.quality_ms, s.predictions)
        found.fired_ms, found.touched = s.fired_ms, False
        for name, value, exponent, tally in s.outcomes:
            strata = found.outcomes.setdefault((name, value), {})
            strata[exponent] = Tally.from_bytes(tally)
        return found


@dataclasses.dataclass(slots=True)
class Loop:
    """From a request to what became of it. asked: the last one of this version, until the version
    that answers it has a trial of it. changed: whether `asked` is to be saved. trial: of this
    version, for what another one asked.
    """

    asked: Asked | None = None
    changed: bool = False
    trial: Trial | None = None

    def ask(self, asked: Asked | None) -> None:
        """Remember a request, or that it is somebody else's now."""
        self.asked, self.changed = asked, True


def length_ms(settings: ModelSettings) -> int:
    """How long the predictions of a trial are made, in whole panes."""
    return _panes_ms(settings.retrain_trial_s, settings)


def wait_ms(settings: ModelSettings) -> int:
    """How long their truth is waited for after that, in whole panes."""
    return _panes_ms(settings.complete_age_s or settings.horizon_s, settings)


def notice_ms(settings: ModelSettings) -> int:
    """How long a notice of it stays open, in whole panes."""
    return _panes_ms(settings.evidence_s, settings)


def _panes_ms(seconds: int, settings: ModelSettings) -> int:
    return -(-seconds // settings.pane_s) * settings.pane_s * 1000


def evaluation_id(model: str, version: str, request_id: str) -> str:
    """The id of what is told of a trial: one for a version and a request."""
    return event_id("evaluation", model, version, "quality", "retraining", request_id)
