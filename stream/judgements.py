"""Judgements: at which level each measure of a window is judged, all of them together.

Numbers of a calibrated reference share one law: that of the largest of them. All else is judged by
Holm's procedure: categories and missing values at the inflation of their variance, the rest at a
level that takes the rows of a window for independent.
"""

import dataclasses
from collections.abc import Sequence

from scipy import special, stats

from stream import effects, figures
from stream.calibrations import UNCALIBRATED, Allowance, Calibration, allowance, promise
from stream.events import Detail
from stream.measures import Joint, Measure
from stream.pulses import rest
from stream.references import Reference
from stream.segments import part_of_whole
from stream.settings import ModelSettings
from stream.vectors import left_out

MMD = "mmd"
ESTIMATE = 0.1  # of quality's half of the budget: what its estimate may spend, where there is one
LABELS = 0.01  # of the budget: what comparisons of how truth comes may spend (`stream.labelling`)


@dataclasses.dataclass(frozen=True, slots=True)
class Chance:
    """A calibrated judgement. sure: chance alone is out; words: how often it does as much.

    level: the p-value that the limit of certainty would have. details: for the reading. plain,
    inflation: the level if rows were independent, and of what variance they are in truth.
    evidence: the squared statistic over its inflation; larger is less likely by chance.
    """

    sure: bool
    level: float
    words: str
    details: dict[str, Detail]
    plain: float
    inflation: float = 1.0
    evidence: float = 0.0


def often(p_value: float, settings: ModelSettings) -> str:
    """How often chance alone does as much to what one check looks at, never understated.

    Windows that overlap have more in common than chance: then it happens in fewer months.
    """
    return figures.months(p_value * settings.evaluations_a_month)


def wholes(reference: Reference, settings: ModelSettings) -> list[str]:
    """Vectors that are looked at as a whole: none of whose numbers is left out, and by no hour."""
    if settings.seasonality != "none" or not settings.whole_vectors:
        return []
    elements = reference.vectors.elements
    return [
        n for n in reference.wholes if not any(left_out(e, settings.ignore) for e in elements[n])
    ]


def shares(reference: Reference, settings: ModelSettings) -> tuple[float, float]:
    """Alarms a month that the inputs' evaluations may spend: on calibrated numbers, on the rest.

    Half of the budget is quality's, where quality can be judged at all. What is calibrated and
    what is not share by their number, a vector being one: features with values missing are checked
    for that too.
    """
    judged = settings.expects_truth and (reference.quality or settings.promises_quality)
    part = 0.5 if judged else 1 - (ESTIMATE / 2 if estimated(reference, settings) else 0)
    month = settings.false_alarms_per_month * part * beside(reference, settings)
    known = [*reference.watched(settings.ignore)]
    unit = reference.vectors.unit
    numbers = len({(role, unit(f.name, role)) for role, f in known if f.kind == "number"})
    others = sum(f.kind == "category" for _, f in known)
    others += len({(role, unit(f.name, role)) for role, f in known if f.missing})
    others += len(wholes(reference, settings))
    total = max(1, numbers + others)
    return month * numbers / total, month * others / total


def outside_detectors(reference: Reference | None, settings: ModelSettings) -> float:
    """The share of the budget that detectors leave to the checks."""
    calibration = reference.calibration if reference else None
    return rest(calibration.detectors, settings) if calibration else 1.0


def beside(reference: Reference | None, settings: ModelSettings) -> float:
    """The share of the budget that detectors and segments leave to the checks of all rows."""
    return outside_detectors(reference, settings) * part_of_whole(reference, settings)


def of_outcomes(settings: ModelSettings) -> float:
    """The share of quality's half of the budget that is left beside how truth comes."""
    watched = settings.watch_labels and settings.expects_truth
    return 1 - 2 * LABELS if watched else 1.0


def estimated(reference: Reference | None, settings: ModelSettings) -> bool:
    """Whether quality is estimated from scores."""
    return reference is not None and reference.odds is not None and settings.estimate != "off"


def allowed_of(reference: Reference, settings: ModelSettings, window_s: int) -> Allowance | None:
    """What the checks of calibrated numbers may spend in windows of a length; None: see there."""
    month = shares(reference, settings)[0] / len(settings.windows_s)
    return allowance(reference.calibration, settings, window_s, month)


def chances(
    reference: Reference, found: Sequence[Measure], settings: ModelSettings, window_s: int
) -> list[Chance | None]:
    """The calibrated judgement of each measure; None where there is none."""
    allowed = allowed_of(reference, settings, window_s)
    if allowed is None or reference.calibration is None:
        return [None] * len(found)
    return [_chance(m, reference.calibration, allowed, window_s) for m in found]


def _chance(m: Measure, known: Calibration, allowed: Allowance, window_s: int) -> Chance | None:
    c = m.comparison
    inflation = known.inflation(c.feature.name, c.role, window_s, m.n)
    if m.check != "ks" or m.statistic is None or inflation is None:
        return None
    rows = m.n * m.n_reference / (m.n + m.n_reference)
    t = m.statistic**2 * rows / inflation
    # Kolmogorov's limit law: what p would be there, for those who compare it
    level = float(special.kolmogorov((allowed.threshold * inflation) ** 0.5))
    a_month = allowed.expected(t)
    details: dict[str, Detail] = {"by_chance_a_month": a_month, "variance_inflation": inflation}
    plain = float(special.kolmogorov(allowed.threshold**0.5))
    words = figures.months(a_month)
    return Chance(t > allowed.threshold, level, words, details, plain, inflation, t)


@dataclasses.dataclass(frozen=True, slots=True)
class Inflated:
    """A p-value where rows of a window resemble each other, as that of so many fewer rows."""

    p_value: float
    inflation: float
    freedom: int

    def chance(self, level: float, settings: ModelSettings) -> Chance:
        """The judgement at a level that Holm's procedure gives p_value."""
        plain = stats.chi2.sf(self.inflation * stats.chi2.isf(level, self.freedom), self.freedom)
        details: dict[str, Detail] = {"variance_inflation": self.inflation}
        sure, words = self.p_value <= level, often(self.p_value, settings)
        return Chance(sure, float(plain), words, details, level, self.inflation)


def inflated(
    reference: Reference, found: Sequence[Measure], settings: ModelSettings, window_s: int
) -> list[Inflated | None]:
    """Of each measure of a category, or of missing values, whose inflation is known."""
    known = reference.calibration
    if known is None or known.unfit(settings):
        return [None] * len(found)
    return [_inflated(m, known, window_s) for m in found]


def _inflated(m: Measure, known: Calibration, window_s: int) -> Inflated | None:
    c = m.comparison
    if c.joint is not None:
        return _of_whole(m, c.joint)
    if m.check not in ("chi-square", "missing") or m.p_value is None:
        return None
    name = c.feature.name
    if m.check == "missing":
        inflation = known.inflation(effects.key(name, c.role), "missing", window_s, m.n)
    else:
        inflation = known.inflation(name, c.role, window_s, m.n)
    if inflation is None:
        return None
    inflation = max(1.0, inflation)
    freedom = max(1, int(str(m.details.get("cells", 2))) - 1)
    p = stats.chi2.sf(stats.chi2.isf(m.p_value, freedom) / inflation, freedom)
    return Inflated(float(p), inflation, freedom)


def _of_whole(m: Measure, joint: Joint) -> Inflated | None:
    if m.p_value is None or m.statistic is None:
        return None
    usual, plain = joint.usual, joint.whole.moments
    p = max(m.p_value, usual.chance(m.statistic / joint.grown))
    inflation = max(1.0, joint.grown * usual.first / plain.first)
    return Inflated(p, inflation, max(1, round(usual.freedom)))


def other_level(
    reference: Reference, settings: ModelSettings, plain: float, found: Sequence[Chance | None]
) -> float:
    """The family-wise level of what is not calibrated, beside what is (`found`).

    plain: that of all of it where nothing is calibrated.
    """
    month = shares(reference, settings)[1]
    if not month or all(chance is None for chance in found):
        return plain
    return min(settings.significance, month / settings.evaluations_a_month)


def notes(reference: Reference, settings: ModelSettings) -> list[str]:
    """What an evaluation says of its levels: what the reference lacks to keep the budget."""
    if reference.calibration is None:
        return [UNCALIBRATED]
    kept, told = promise(reference.calibration, settings)
    return [] if kept else told
