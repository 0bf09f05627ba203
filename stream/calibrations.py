"""Calibrations: what a reference's own order in time says of how often chance alone alarms.

A calibration is made once, when a reference is registered (`stream.bootstraps`), and is part of
it. Levels follow from it and from a model's settings by plain arithmetic: the same everywhere.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec

from stream.discrepancies import Moments
from stream.pulses import PulseLaw
from stream.settings import DAY_S, MONTH_S, ModelSettings, Seasonality
from stream.stamps import short

UNCALIBRATED = "uncalibrated: no time order"
MAX_WINDOWS = 8
GAPS = (1, 2, 4, 8, 24)  # quiet panes that end an episode; `clear` of the settings chooses
DENSER = 1.25  # so much more rows a pane than the reference had are taken as they come
# of a document: what earlier releases did not know, and what it is where there is none of it
LATER: dict[str, object] = {"season": "none", "missing": {}, "quality": {}, "detectors": {}}
LATER |= {"wholes": {}}
SPLIT = frozenset(("features", "missing"))  # each event of a reference has its own features'
OUTPUT = "output:"
# windows of reference from which a budget is kept: measured by simulation, see `bench decisions`
PROMISES = ((90, 0.1), (30, 1.0))


class Law(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often an episode begins in which the squared statistic exceeds t, per pane.

    Rate exp(intercept - slope t). gap: quiet panes after which it is over.
    """

    gap: int
    intercept: float
    slope: float

    def rate(self, t: float) -> float:
        """Episodes a pane above t; at most 1."""
        return math.exp(min(0.0, self.intercept - self.slope * t))

    def threshold(self, rate: float) -> float:
        """The t that so many episodes a pane exceed; at least 0."""
        return max(0.0, (self.intercept - math.log(rate)) / self.slope)


class WindowLaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The laws of the largest statistic over all features, for windows of one length."""

    window_s: int
    laws: tuple[Law, ...]

    def law(self, clear: int) -> Law:
        """The law of alerts that end after `clear` quiet panes; of fewer where not known."""
        return max((x for x in self.laws if x.gap <= clear), key=lambda x: x.gap)


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the reference's own panes show: a law of all numbers together, and inflations.

    panes, days: of the reference that were used. rows_a_pane: their mean. order: what is as good
    as independent: "panes", "hours" (panes, but for what is usual at their hour), or "days" alone.
    features, outputs: variance inflation by name, of categories too, one figure for each of
    `windows`. season: by which hours rows were compared. missing: inflation of the share of missing
    values, of outputs as `output:NAME`; quality: that of metrics. detectors: how often
    each fires by chance, by what its alerts are called by. wholes: of a vector the three moments of
    a row's covariance in windows of each length, and how well the first is known.
    """

    seed: int
    pane_s: int
    panes: int
    days: int
    rows_a_pane: float
    order: Literal["panes", "hours", "days"]
    windows: tuple[WindowLaw, ...]
    features: dict[str, tuple[float, ...]] = {}
    outputs: dict[str, tuple[float, ...]] = {}
    season: Seasonality = "none"
    missing: dict[str, tuple[float, ...]] = {}
    quality: dict[str, tuple[float, ...]] = {}
    detectors: dict[str, PulseLaw] = {}
    wholes: dict[str, tuple[tuple[float, float, float, float], ...]] = {}

    def document(self) -> dict[str, Any]:
        """Plain values for JSON; `from_document` reads them back to the bit.

        What earlier releases did not know is left out where there is none of it: ids stay.
        """
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {name: x for name, x in found.items() if name not in LATER or x != LATER[name]}

    def unfit(self, settings: ModelSettings) -> str:
        """Why it says nothing of windows as these settings want them; "" if it does."""
        if settings.reference != "fixed":
            return "windows are compared with the one before, not with the reference"
        if self.pane_s != settings.pane_s:
            return (
                f"panes are of {short(settings.pane_s)}, it was calibrated for {short(self.pane_s)}"
            )
        if self.season != settings.seasonality:
            return f"seasonality is {settings.seasonality}, it was calibrated for {self.season}"
        return ""

    def inflation(
        self, name: str, role: str, window_s: int, rows: int | None = None
    ) -> float | None:
        """Variance inflation in windows of a length, if known.

        role: "input", "output", "missing" or "quality". rows: of the window, whose panes may hold
        more than the reference's did.
        """
        kinds = {"input": self.features, "output": self.outputs, "missing": self.missing}
        known = kinds.get(role, self.quality).get(name)
        lengths = [w.window_s for w in self.windows]
        if not known or window_s not in lengths:
            return None
        found = known[lengths.index(window_s)]
        if rows is None:
            return found
        return denser(found, rows * self.pane_s / window_s, self.rows_a_pane)

    def whole(self, vector: str, window_s: int) -> Moments | None:
        """What chance does to a vector as a whole in windows of a length, if known."""
        known, lengths = self.wholes.get(vector), [w.window_s for w in self.windows]
        if not known or window_s not in lengths:
            return None
        return Moments(*known[lengths.index(window_s)])

    def of_window(self, window_s: int) -> WindowLaw | None:
        """The law of windows of this length, if known."""
        return next((w for w in self.windows if w.window_s == window_s), None)

    def windows_of_reference(self, window_s: int) -> int:
        """How many such windows the reference is long."""
        return self.panes * self.pane_s // window_s


def from_document(document: object) -> Calibration:
    """Raises ValueError, saying what is wrong."""
    try:
        found = msgspec.convert(document, Calibration)
    except msgspec.ValidationError as error:
        raise ValueError(f"calibration: {error}") from None
    for ok, wrong in _rules(found):
        if not ok:
            raise ValueError(f"calibration: {wrong}")
    return found


def part(found: Calibration | None, features: Collection[str]) -> dict[str, Any]:
    """What of a calibration goes with some features in one event of a reference."""
    if found is None:
        return {}
    document = found.document()
    for kind in SPLIT & document.keys():
        known = document[kind].items()
        document[kind] = {n: x for n, x in known if n in features or n.startswith(OUTPUT)}
    return {"calibration": document}


def whole(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The calibration that the events of a reference make up."""
    told = [event["calibration"] for event in events if event.get("calibration")]
    found: dict[str, Any] = {}
    for one in told:
        found |= {kind: found.get(kind, {}) | one.get(kind, {}) for kind in SPLIT & one.keys()}
    return {"calibration": told[0] | found} if told else {}


def _rules(c: Calibration) -> list[tuple[bool, str]]:
    kinds = (c.features, c.outputs, c.missing, c.quality)
    figures = [x for kind in kinds for many in kind.values() for x in many]
    laws = [law for window in c.windows for law in window.laws]
    lengths = {len(many) for kind in (*kinds, c.wholes) for many in kind.values()}
    return [
        (c.pane_s > 0 and c.panes > 0 and c.rows_a_pane > 0, "must be of panes with rows"),
        (len(c.windows) <= MAX_WINDOWS, f"has more than {MAX_WINDOWS} windows"),
        (all(w.window_s > 0 for w in c.windows), "has a window of no length"),
        (lengths <= {len(c.windows)}, f"must have {len(c.windows)} figures a feature"),
        (all(math.isfinite(x) and x > 0 for x in figures), "has an inflation that is not above 0"),
        (
            all(Moments(*x).sound() for many in c.wholes.values() for x in many),
            "has moments that cannot be",
        ),
        (
            all(
                p.rows > 0 and p.evidence_s > 0 and 0 <= p.pulses < math.inf and p.dispersion >= 1
                for p in c.detectors.values()
            ),
            "has a detector's law that cannot be",
        ),
        (all(any(x.gap == 1 for x in w.laws) for w in c.windows), "lacks the law of gap 1"),
        (all(math.isfinite(x.intercept) for x in laws), "has a law that is not finite"),
        (all(math.isfinite(x.slope) and x.slope > 0 for x in laws), "has a law that does not fall"),
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Allowance:
    """What of a model's budget one window's checks of numbers may spend, and what it means.

    month: alarms a month. threshold: of the squared statistic over its inflation.
    """

    month: float
    panes_a_month: float
    law: Law
    threshold: float

    def expected(self, t: float) -> float:
        """How often a month chance alone does as much, or more."""
        return self.law.rate(t) * self.panes_a_month


def allowance(
    found: Calibration | None, settings: ModelSettings, window_s: int, month: float
) -> Allowance | None:
    """What follows from a calibration for windows of a length, of `month` alarms a month.

    None where the reference, its panes or this length are not calibrated. An evaluation's chance
    is at most `significance`, whatever the budget.
    """
    window = found.of_window(window_s) if found else None
    if found is None or window is None or found.unfit(settings) or month <= 0:
        return None
    panes = MONTH_S / settings.pane_s
    law = window.law(settings.clear)
    rate = min(settings.significance, month / panes)
    return Allowance(month, panes, law, law.threshold(rate))


def denser(inflation: float, rows_a_pane: float, known_rows_a_pane: float) -> float:
    """The inflation where panes hold more rows than the reference's did.

    What rows of a pane have in common does not average out: it is taken to grow with their number.
    """
    times = rows_a_pane / known_rows_a_pane / DENSER
    return max(inflation, 1 + (inflation - 1) * times) if times > 1 else inflation


def promise(found: Calibration | None, settings: ModelSettings) -> tuple[bool, list[str]]:
    """Whether the model's budget is kept by its reference, and what is to be said of that."""
    if found is None:
        return False, [UNCALIBRATED]
    if unfit := found.unfit(settings):
        return False, [f"uncalibrated: {unfit}"]
    return promises_of(found, settings, settings.windows_s)


def promises_of(
    found: Calibration, settings: ModelSettings, windows_s: Sequence[int]
) -> tuple[bool, list[str]]:
    """The same of windows of some lengths, where the calibration fits the settings."""
    told = [_promised(found, settings, window_s) for window_s in windows_s]
    return all(kept for kept, _ in told), [text for _, text in told]


def _promised(found: Calibration, settings: ModelSettings, window_s: int) -> tuple[bool, str]:
    if found.of_window(window_s) is None:
        return False, f"uncalibrated: windows of {short(window_s)} were not calibrated"
    there, budget = found.windows_of_reference(window_s), settings.false_alarms_per_month
    kept = [promised for windows, promised in PROMISES if there >= windows]
    lost = [promised for windows, promised in PROMISES if there < windows]
    said = [f"a budget of {x:g} is kept" for x in kept[:1]]
    said += [f"{x:g} is not promised" for x in lost[-1:]]
    length = f"{short(found.panes * found.pane_s)} of reference, windows of {short(window_s)}"
    return bool(kept) and budget >= min(kept), f"{length}: {', '.join(said)}"


def lengths(settings: ModelSettings) -> tuple[int, ...]:
    """The windows worth calibrating: the configured ones, one pane, and a day."""
    pane_s = settings.pane_s
    more = [pane_s] + ([DAY_S] if DAY_S % pane_s == 0 else [])
    return tuple(sorted(dict.fromkeys([*settings.windows_s, *more][:MAX_WINDOWS])))


def longer(settings: ModelSettings) -> dict[int, int]:
    """How far back windows may look beyond their length, and which window it is that does.

    Where there is no room for all, the fewest times come first. What two windows may reach counts
    for the longer one.
    """
    known = lengths(settings)
    room, found = MAX_WINDOWS - len(known), dict[int, int]()
    for times in range(2, settings.reach_back + 1):
        for window_s in sorted(settings.windows_s):
            length_s = times * window_s
            if length_s not in known and (length_s in found or len(found) < room):
                found[length_s] = max(window_s, found.get(length_s, 0))
    return dict(sorted(found.items()))
