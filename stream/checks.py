"""Periodic checks of a window's counts against the reference: is it chance, and does it matter.

A check measures a p-value and an effect in the feature's own units; both must speak before
anything is called moved. To add one: a function in `stream.measures` (of the data themselves: in
`stream.soundness`) and a line in `CHECKS`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

from stream import effects, figures, minimums, soundness
from stream.embeddings import joints, mmd, told
from stream.events import Detail, Judged, Reading
from stream.features import FeatureReference, Kind, Role
from stream.folds import folded
from stream.judgements import MMD, Chance, chances, inflated, often, other_level
from stream.leisure import ALWAYS, Leisure
from stream.measures import Comparison, Measure, chi_square, ks, missing
from stream.previous import Previous
from stream.references import Reference
from stream.seasons import Seasonal
from stream.settings import ModelSettings
from stream.shares import Share

Against = Seasonal | Previous


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """A line of the registry: the kind of feature (None: any), what it does, and how.

    Of a vector as a whole it is a comparison of one of its numbers that has the whole with it.
    """

    kind: Kind | Literal["vector"] | None
    about: str
    measure: Callable[[Comparison], Measure]


CHECKS: dict[str, Check] = {
    "ks": Check("number", "two-sample Kolmogorov-Smirnov against the reference", ks),
    "chi-square": Check("category", "chi-square over the reference's categories", chi_square),
    MMD: Check("vector", "maximum mean discrepancy of a vector as a whole", mmd),
    "missing": Check(None, "share of missing and infinite values", missing),
    "type": Check("number", "share of words where numbers were", soundness.typed),
    "constant": Check(None, "one value in all rows, where there were several", soundness.constant),
    "range": Check("number", "share of values out of the reference's range", soundness.outside),
    "new-category": Check("category", "names the reference has not", soundness.new_category),
}
OF_WHOLE = ("range", "new-category")  # are about all that the reference has
MAIN: dict[Kind, str] = {"number": "ks", "category": "chi-square"}
OF_FEATURES = (*MAIN.values(), MMD)  # all others are of the data


def measure(comparison: Comparison, check: str) -> Measure:
    """One check's figures; without p-value and effect where there is too little to compare."""
    f = comparison.feature
    values = f.cells + (1 if f.kind == "category" else 0)
    used = slice(None) if check in ("missing", "type") else slice(values)
    n, m = int(comparison.counts[used].sum()), int(f.counts[used].sum())
    if m == 0 or n < max(1, comparison.settings.minimum_rows):
        return Measure(check, comparison, n, m, f.name)
    return CHECKS[check].measure(comparison)


def measures(c: Comparison) -> list[Measure]:
    """The main check of a feature, and those of its data that have something to say."""
    names = (MAIN[c.feature.kind], *soundness.due(c))
    return [measure(c.of_whole if name in OF_WHOLE else c, name) for name in names]


def judge(m: Measure, level: float | None, chance: Chance | None = None) -> Reading:
    """The reading of a measure at a level: moved only where chance is out and the effect counts.

    chance: what calibration says of it, which counts then.
    """
    needed = _needed(m, level, chance)
    verdict, reason = _verdict(m, level, chance, needed)
    told: dict[str, Detail] = {} if needed is None else {"rows_needed": needed}
    return Reading(
        check=m.check,
        subject=m.subject,
        role=m.comparison.role if m.check in OF_FEATURES else "data",
        statistic=m.statistic,
        p_value=m.p_value,
        level=level if chance is None else chance.level,
        effect=m.effect,
        n=m.n,
        n_reference=m.n_reference,
        verdict=verdict,
        reason=reason,
        details=m.details | told | ({} if chance is None else chance.details),
    )


def _needed(m: Measure, level: float | None, chance: Chance | None) -> int | None:
    """Rows without which nothing found says nothing; None where no such number follows."""
    if chance is not None:
        return minimums.rows_needed(m, chance.plain, chance.inflation)
    numbers = int(str(m.details.get("numbers", 1)))  # of a vector, which share its level
    return None if level is None else minimums.rows_needed(m, level / numbers)


def _verdict(
    m: Measure, level: float | None, chance: Chance | None, needed: int | None
) -> tuple[Judged, str]:
    """What is significant is told however few the rows, for the test is exact."""
    if m.n_reference == 0:
        return "no-reference", f"{m.what}: the reference has no values to compare with"
    if m.p_value is None or m.effect is None or (level is None and chance is None):
        least = m.comparison.settings.minimum_rows
        return "not-enough-data", f"{m.what}: {figures.count(m.n)} rows, {least:,} are needed"
    floor = m.effect.floor or 0.0
    matters = m.effect.value >= floor
    if not (m.p_value <= (level or 0.0) if chance is None else chance.sure):
        return _quiet(m, floor, matters and floor > 0, needed)
    if matters:
        by_chance = often(m.p_value, m.comparison.settings) if chance is None else chance.words
        return "moved", f"{m.what}; chance does as much {by_chance}"
    size, limit = figures.number(m.effect.value), figures.number(floor)
    return "small", f"{m.what}; real but small: {size} {m.effect.unit}, {limit} would matter"


def _quiet(m: Measure, floor: float, matters: bool, needed: int | None) -> tuple[Judged, str]:
    """What is not significant: with rows enough it is no change, with few it says nothing."""
    rows = figures.count(m.n)
    if needed is not None and m.n < needed:
        size = f"{figures.number(floor)} {m.effect.unit if m.effect else ''}"
        said = f"not enough data yet: {rows} rows, to see a change of {size} takes {needed:,}"
        return "not-enough-data", f"{m.what}; {said}"
    if matters:
        return "insignificant", f"{m.what}; this may be chance, with {rows} rows"
    return "ok", f"{m.what}; no change beyond chance"


def check_share(
    reference: Reference,
    share: Share,
    level: float,
    settings: ModelSettings,
    leisure: Leisure = ALWAYS,
    window_s: int = 0,
    against: Against | None = None,
) -> list[Reading]:
    """All checks of a window's features and outputs; `level` is that of the whole family.

    window_s: the window's length, for which the reference may be calibrated. against: what it is
    compared with in place of the whole reference.
    """
    found: list[Measure] = []
    before = against if isinstance(against, Previous) else None
    whole = joints(reference, share, settings, window_s, before)
    for role, feature in reference.watched(settings.ignore):
        leisure.between()
        comparison = _comparison(role, feature, share, settings, against)
        found += measures(comparison)
        if role == "input" and feature.name in whole:
            found.append(mmd(dataclasses.replace(comparison, joint=whole[feature.name])))
    calibrated = chances(reference, found, settings, window_s)
    fewer = inflated(reference, found, settings, window_s)
    units = folded([*zip(found, calibrated, fewer, strict=True)], reference)
    found = soundness.together(unit.measure for unit in units)
    sure = [unit.chance for unit in units]
    fewer = [unit.fewer for unit in units]
    p_values = [x.p_value if x else m.p_value for m, x in zip(found, fewer, strict=True)]
    levels = _levels(found, sure, p_values, other_level(reference, settings, level, sure))
    sure = [
        x.chance(at, settings) if x and at is not None else c
        for x, at, c in zip(fewer, levels, sure, strict=True)
    ]
    said = [u.told(m, at) for u, m, at in zip(units, found, levels, strict=True)]
    return told([judge(m, at, c) for m, at, c in zip(said, levels, sure, strict=True)])


def _comparison(
    role: Role,
    feature: FeatureReference,
    share: Share,
    settings: ModelSettings,
    against: Against | None,
) -> Comparison:
    seen = share.new_names.get(effects.key(feature.name, role), {})
    new = tuple(sorted(seen, key=lambda n: (-seen[n], n)))  # most frequent first
    counts = share.counts(feature.name, role)
    if against is None:
        return Comparison(feature, counts, settings, role, new)
    usual, ranked = against.usual(feature, role), against.ranks(feature, role)
    return Comparison(usual, counts, settings, role, new, ranked, feature, against.words)


def _levels(
    found: Sequence[Measure],
    sure: Sequence[Chance | None],
    known: Sequence[float | None],
    level: float,
) -> list[float | None]:
    """The level of each measure that is not calibrated.

    Notices raise no alert, so they cost the others nothing: they are a family of their own.
    """
    levels: list[float | None] = [None] * len(found)
    for notices in (False, True):
        p_values = [
            p if c is None and (m.check in soundness.NOTICES) == notices else None
            for m, c, p in zip(found, sure, known, strict=True)
        ]
        family = holm(p_values, level)
        levels = [one if at is None else at for one, at in zip(levels, family, strict=True)]
    return levels


def holm(p_values: Sequence[float | None], level: float) -> list[float | None]:
    """The level of each p-value such that p <= its level where Holm's procedure rejects.

    None is not tested, and costs the others nothing. Source: Holm (1979), step-down Bonferroni.

    >>> holm([0.01, None, 0.04, 0.03], 0.06)
    [0.02, None, 0.06, 0.03]
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    levels: list[float | None] = [None] * len(p_values)
    stopped: float | None = None
    for rank, (p, i) in enumerate(tested):
        at = level / (len(tested) - rank) if stopped is None else stopped
        levels[i] = at
        stopped = at if p > at else stopped
    return levels
