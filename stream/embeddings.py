"""Embeddings: the check of a vector as a whole, beside those of each of its numbers."""

from collections.abc import Sequence

import msgspec

from stream import effects, figures
from stream.calibrations import denser
from stream.columns import Ints
from stream.discrepancies import Moments, discrepancy
from stream.events import Detail, Effect, Reading
from stream.judgements import MMD, wholes
from stream.layouts import WHOLE
from stream.measures import Comparison, Joint, Measure
from stream.previous import Previous
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.wholes import DIRECTIONS

DIGITS = 9  # kept of what is computed: sums are not the same to the last bit on every machine


def mmd(w: Comparison) -> Measure:
    """Maximum mean discrepancy; effect: the shift along one line that would do as much."""
    joint = w.joint
    assert joint is not None
    known, live = _rows(joint.known), _rows(joint.live)
    called = f"{joint.name} as a whole ({joint.whole.size} numbers)"
    if known == 0 or live < max(1, w.settings.minimum_rows):
        return Measure(MMD, w, live, known, called, about=joint.name)
    expected = joint.usual.first * joint.grown
    found = discrepancy(joint.known, joint.live, expected, joint.whole.breadth)
    p = _rounded(joint.whole.moments.chance(found.statistic))
    shift, floor = _rounded(found.shift), w.settings.effect_floor_sd
    effect = Effect(name="equivalent shift", value=shift, floor=floor, unit=effects.IN_SD)
    what = (
        f"{called} changed{w.words} as much as a shift by {figures.number(shift)} "
        f"{effects.IN_SD} along one line would change it"
    )
    details: dict[str, Detail] = {
        "numbers": joint.whole.size,
        "severity": effects.severity(effect),
        "direction": "none",
    }
    statistic = _rounded(found.statistic)
    return Measure(MMD, w, live, known, what, statistic, p, effect, details, about=joint.name)


def _rows(counts: Ints) -> int:
    return int(counts.sum()) // DIRECTIONS


def _rounded(x: float) -> float:
    return float(f"{x:.{DIGITS}g}")


def joints(
    reference: Reference,
    share: Share,
    settings: ModelSettings,
    window_s: int,
    before: Previous | None,
) -> dict[str, Joint]:
    """Vectors to be looked at as a whole, by the name of their last number.

    before: the window that this one is compared with, in place of the reference.
    """
    found = {}
    for name in wholes(reference, settings):
        whole = reference.wholes[name]
        known = whole.counts if before is None else before.share.counts(name, WHOLE)
        live = share.counts(name, WHOLE)
        usual, grown = _usual(reference, settings, name, window_s, _rows(live))
        last = reference.vectors.elements[name][-1]
        found[last] = Joint(name, whole, known, live, usual, grown)
    return found


def _usual(
    reference: Reference, settings: ModelSettings, name: str, window_s: int, rows: int
) -> tuple[Moments, float]:
    """What chance does to a window; where that is not calibrated, what it does to single rows."""
    plain, known = reference.wholes[name].moments, reference.calibration
    usual = None if known is None or known.unfit(settings) else known.whole(name, window_s)
    if known is None or usual is None or usual.first <= plain.first:
        return plain if usual is None else usual, 1.0
    inflation = usual.first / plain.first
    more = denser(inflation, rows * known.pane_s / window_s, known.rows_a_pane)
    return usual, more / inflation


def told(readings: Sequence[Reading]) -> list[Reading]:
    """The readings again; of a vector that moved as a whole alone, that none of its numbers did."""
    verdicts = {r.subject: r.verdict for r in readings if r.check == "ks" and r.role == "input"}
    return [
        _alone(r)
        if (r.check, r.verdict) == (MMD, "moved") and verdicts.get(r.subject) != "moved"
        else r
        for r in readings
    ]


def _alone(reading: Reading) -> Reading:
    reason = f"{reading.reason}; none of its {reading.details['numbers']} numbers moved by itself"
    return msgspec.structs.replace(reading, reason=reason)
