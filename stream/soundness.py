"""Soundness: whether the data themselves are as they were, feature by feature.

`missing` and `type` say that values cannot be used: they are tested with all other checks, and
raise alerts. `constant`, `range` and `new-category` are tested too and raise none: the rows that
they speak of are in the feature's main check, which does. (`stream.traffic` is about the rows.)
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import special

from stream import categories, effects, figures
from stream.events import Detail, Reading
from stream.measures import BEYOND, NAMED, Comparison, Measure
from stream.permutations import log_choices

FAULTS = frozenset({"missing", "type", "constant"})  # what makes an incident of a change
NOTICES = frozenset({"constant", "range", "new-category", "volume", "late"})  # never paged
TOGETHER = 10  # values missing, from which an equal number in another feature is no accident


def typed(w: Comparison) -> Measure:
    """Words where numbers were. Chi-square, or Fisher's test; effect: the change of their share."""
    f = w.feature
    before, after = int(f.counts[-1]), int(w.counts[-1])
    n, m = int(w.counts.sum()), f.rows
    test = categories.chi_square(np.array([before, m - before]), np.array([after, n - after]))
    change = after / n - before / m
    effect = effects.of_share("change of share of words", change, w.settings.effect_floor_data)
    details: dict[str, Detail] = {
        "words": after,
        "words_reference": before,
        "direction": effects.direction(before / m, after / n),
        "severity": effects.severity(effect),
    }
    what = f"{f.name}: words where numbers were {figures.shares(before / m, after / n)}"
    what += f" ({figures.count(after)} of {figures.count(n)} rows)"
    return Measure("type", w, n, m, what, test.statistic, test.p_value, effect, details)


def outside(w: Comparison) -> Measure:
    """Numbers beyond the reference's lowest or highest; effect: their share.

    m values cut the line into m + 1 intervals, in which those of the same source are equally
    likely to fall: so many in the outer two are as likely as so many above the second highest.
    Equal values make it rarer. Source: exceedances, Gumbel & von Schelling (1950).
    """
    f = w.feature
    m, n = int(f.counts[: f.cells].sum()), int(w.counts[: f.cells].sum())
    below, above = int(w.counts[0]), int(w.counts[f.cells - 1])
    share = (below + above) / n
    effect = effects.of_share("share outside the range", share, w.settings.effect_floor_data)
    details: dict[str, Detail] = {
        "below": below,
        "above": above,
        "lowest_reference": float(f.edges[0]),
        "highest_reference": float(f.edges[-1]),
        "severity": effects.severity(effect),
        "direction": effects.direction(below, above),
    }
    ends = [figures.number(float(f.edges[at])) for at in (0, -1)]
    what = (
        f"{f.name}: {figures.share(share)} of {figures.count(n)} values outside the reference's "
        f"{ends[0]} to {ends[1]} ({figures.count(below)} below, {figures.count(above)} above)"
    )
    return Measure("range", w, n, m, what, share, exceedance(n, m, below + above), effect, details)


def exceedance(n: int, m: int, outer: int) -> float:
    """Chance that of n values `outer` or more lie outside the range of m others like them.

    >>> exceedance(1, 1, 1), round(exceedance(100, 1_000, 1), 3)
    (1.0, 0.174)
    """
    if outer == 0 or m < 2:
        return 1.0
    log = [log_choices(n, outer + 1), np.log(m) + log_choices(n, outer)]
    return float(min(1.0, np.exp(special.logsumexp(log) - log_choices(n + m, outer + 1))))


def new_category(w: Comparison) -> Measure:
    """Names that the reference has not; effect: by how much their share rose.

    A reference has not seen everything: the share of names it missed is about that of those it saw
    once. p is the chance of so many rows at that share. Source: Good (1953).
    """
    f = w.feature
    m, n = int(f.counts[: f.cells + 1].sum()), int(w.counts[: f.cells + 1].sum())
    known, found = int(f.counts[f.cells]), int(w.counts[f.cells])
    once = int((f.counts[: f.cells] == 1).sum())
    p = float(special.bdtrc(found - 1, n, min(1.0, (known + once + 1) / (m + 1)))) if found else 1.0
    rise = max(0.0, found / n - known / m)
    effect = effects.of_share("rise of share", rise, w.settings.effect_floor_data)
    details: dict[str, Detail] = {
        "new": [*w.new_names],
        "rows": found,
        "share_reference": known / m,
        "severity": effects.severity(effect),
        "direction": effects.direction(known / m, found / n),
    }
    what = f"{f.name}: {_told(w)}, {figures.count(found)} of {figures.count(n)} rows"
    return Measure("new-category", w, n, m, what, found / n, p, effect, details)


def _told(w: Comparison) -> str:
    """The new names; or that they are of another kind than all that were known."""
    names = w.new_names
    if not names:
        return "names that are not in the reference"
    listed = figures.listed(names, NAMED)
    if all(map(_is_number, names)) and not any(map(_is_number, w.feature.names)):
        return f"numbers where words were: {listed}"
    return f"not in the reference: {listed}"


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def stands_still(w: Comparison) -> bool:
    """Whether all values of the window are one, and not all of the reference's are."""
    f = w.feature
    known, live = f.counts[: f.cells], w.counts[: f.cells]
    inner = live[1:-1] if f.kind == "number" else live
    values = int(w.counts[: f.cells + (f.kind == "category")].sum())
    return 0 < values == int(inner.max(initial=0)) and int((known > 0).sum()) > 1


def constant(w: Comparison) -> Measure:
    """One value in all rows, where the reference had several.

    p: the chance that so many of the reference's values are in one place; effect: the share of the
    reference's values that are elsewhere.
    """
    f = w.feature
    known, live = f.counts[: f.cells], w.counts[: f.cells]
    m, n, place = int(known.sum()), int(live.sum()), int(live.argmax())
    p = min(1.0, float(((known / m) ** n).sum()))
    elsewhere = 1 - int(known[place]) / m
    floor = w.settings.effect_floor_data
    effect = effects.of_share("share of the reference elsewhere", elsewhere, floor)
    details: dict[str, Detail] = {
        "share_reference": 1 - elsewhere,
        "severity": effects.severity(effect),
        "direction": "none",
    }
    what = f"{f.name}: {_where(w, place)} in all {figures.count(n)} rows"
    what += f", in {figures.share(1 - elsewhere)} of the reference's"
    return Measure("constant", w, n, m, what, float(n), p, effect, details)


def _where(w: Comparison, place: int) -> str:
    f = w.feature
    if f.kind == "category":
        return f.names[place]
    if place % 2:
        return figures.number(float(f.edges[place // 2]))
    ends = figures.pair(float(f.edges[place // 2 - 1]), float(f.edges[place // 2]))
    return f"values between {ends[0]} and {ends[1]}"


def due(w: Comparison) -> list[str]:
    """The checks of a feature, beside its main one, that have something to say.

    A model that always answers the same is no fault of the data: its answers moved.
    """
    f, live = w.feature, w.counts
    unknown = slice(f.missing_at, f.missing_at + (2 if f.kind == "number" else 1))
    found = ["missing"] if f.counts[unknown].any() or live[unknown].any() else []
    if f.kind == "number" and (f.counts[-1] or live[-1]):
        found.append("type")
    values = slice(0, f.cells + (f.kind == "category"))
    rows = int(live[values].sum())
    if rows < w.settings.minimum_rows or not f.counts[values].any():
        return found
    if w.role == "input" and stands_still(w):
        found.append("constant")
    if f.kind == "number":
        return found + (["range"] if live[0] + live[f.cells - 1] >= BEYOND * rows else [])
    new = int(live[f.cells])
    more = new > 0 and (new >= BEYOND * rows or not f.counts[f.cells])
    return found + (["new-category"] if more else [])


def together(found: Iterable[Measure]) -> list[Measure]:
    """The measures again; those of missing values name features with as many missing."""
    listed = [*found]
    alike: dict[int, list[str]] = defaultdict(list)
    for m in listed:
        if m.check == "missing" and _holes(m) >= TOGETHER:
            alike[_holes(m)].append(m.about or m.comparison.called)
    return [_beside(m, alike[_holes(m)]) if m.check == "missing" else m for m in listed]


def _holes(m: Measure) -> int:
    return int(m.comparison.counts[m.comparison.feature.missing_at])


def _beside(m: Measure, alike: Sequence[str]) -> Measure:
    others = [name for name in alike if name != (m.about or m.comparison.called)]
    if not others:
        return m
    what = f"{m.what}; as many missing in {figures.listed(others, NAMED)}"
    return dataclasses.replace(m, what=what, details=m.details | {"together_with": [*others[:20]]})


def faults(readings: Iterable[Reading]) -> list[Reading]:
    """Readings that make an incident of what moved."""
    return [r for r in readings if r.check in FAULTS and r.role == "data"]


def without_notices(readings: Iterable[Reading]) -> list[Reading]:
    """Readings that count for verdicts and alerts."""
    return [r for r in readings if r.role != "data" or r.check not in NOTICES]


def telling(one: Reading, other: Reading) -> Reading:
    """Of two readings of one feature's data, the one that speaks for both; the first if equal."""
    return max(one, other, key=_urgency)


def _urgency(reading: Reading) -> tuple[bool, bool]:
    return reading.verdict == "moved", reading.verdict in ("small", "insignificant", "ok")
