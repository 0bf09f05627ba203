"""What a check measures of a feature: a p-value, an effect in its own units, and a sentence."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from stream import categories, effects, figures, ranks
from stream.columns import Ints
from stream.discrepancies import Moments
from stream.events import Detail, Effect
from stream.features import FeatureReference, Role
from stream.settings import ModelSettings
from stream.wholes import Whole

QUARTILES = (0.25, 0.5, 0.75)
NAMED = 3  # categories named in a sentence
BEYOND = 0.01  # share outside the reference's range from which a sentence says so
UNSEEN = 0.005  # share of the reference inside one bin from which a sentence says so
OTHER = "other categories"  # those the reference has not, or not among its most frequent


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """A vector as a whole: its places' counts, known and live (`stream.wholes`).

    usual: what chance does to such a window; grown: how much more to one whose panes hold more
    rows than those it is known from.
    """

    name: str
    whole: Whole
    known: Ints
    live: Ints
    usual: Moments
    grown: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What a check looks at: one feature's counts, shape (width,), and names it has not seen.

    ranked: where hours are compared, what was expected and found of each rank within the hour;
    the feature's counts are then those of the window's hours (`stream.seasons`). whole: the
    feature in the reference, where its counts are others here; words: of what they are.
    joint: where the feature is a number of a vector that is looked at as a whole.
    """

    feature: FeatureReference
    counts: Ints
    settings: ModelSettings
    role: Role = "input"
    new_names: tuple[str, ...] = ()
    ranked: tuple[Ints, Ints] | None = None
    whole: FeatureReference | None = None
    words: str = ""
    joint: Joint | None = None

    @property
    def of_whole(self) -> "Comparison":
        """The same with the whole reference, whatever the others are made with."""
        return self if self.whole is None else dataclasses.replace(self, feature=self.whole)

    @property
    def called(self) -> str:
        """The name it has in the settings."""
        return effects.key(self.feature.name, self.role)


@dataclasses.dataclass(frozen=True, slots=True)
class Measure:
    """A check's figures, before anyone has said at which level it is to be judged.

    what: the change in words. p_value and effect are None where there was too little to compare.
    about: what it is of, where that is not the feature alone.
    """

    check: str
    comparison: Comparison
    n: int
    n_reference: int
    what: str
    statistic: float | None = None
    p_value: float | None = None
    effect: Effect | None = None
    details: dict[str, Detail] = dataclasses.field(default_factory=dict)
    about: str = ""

    @property
    def subject(self) -> str:
        """What its reading is of."""
        return self.about or self.comparison.feature.name


def ks(w: Comparison) -> Measure:
    """Two-sample Kolmogorov-Smirnov; effect: see `stream.effects.of_number`."""
    f = w.feature
    first, second = f.counts[: f.cells], w.counts[: f.cells]
    tested = w.ranked or (first, second)
    gap = ranks.ks_two_sample(*tested)
    distance = ranks.wasserstein(f.edges, first, second)
    effect = effects.of_number(w.called, f.sd, distance, gap.statistic, w.settings)
    details = _of_numbers(f, first, second, gap) | _of_all(w, effect)
    details |= {"wasserstein": distance, "wasserstein_sd": effects.in_sd(distance, f.sd)}
    details |= _of_ranks(w.ranked[0], gap) if w.ranked else {}
    m, n = (int(counts.sum()) for counts in tested)
    what = _numbers_in_words(w, gap)
    return Measure("ks", w, n, m, what, gap.statistic, gap.p_value, effect, details)


def _of_all(w: Comparison, effect: Effect) -> dict[str, Detail]:
    """What the reading of every feature says."""
    f = w.feature
    return {
        "severity": effects.severity(effect),
        "missing_rate_reference": f.missing / max(1, f.rows),
        "missing_rate": int(w.counts[f.missing_at]) / max(1, int(w.counts.sum())),
    }


def _of_ranks(expected: Ints, gap: ranks.Gap) -> dict[str, Detail]:
    """What is said of ranks within the hour in place of values: a gap is at a share of them."""
    at = int(expected[: gap.code + 1].sum()) / int(expected.sum())
    resolution = int(expected.max()) / int(expected.sum())
    return {"at": at, "at_side": "of the ranks of the hour", "resolution": resolution}


def _of_numbers(
    f: FeatureReference, first: Ints, second: Ints, gap: ranks.Gap
) -> dict[str, Detail]:
    groups = ranks.grouped(first, second)
    at, side = ranks.place(f.edges, min(gap.code, len(first) - 1))
    before = ranks.quantiles(f.edges, first, QUARTILES)
    after = ranks.quantiles(f.edges, second, QUARTILES)
    n = int(second.sum())
    return {
        "median_reference": before[1],
        "median": after[1],
        "quartiles_reference": [*before],
        "quartiles": [*after],
        "median_shift": effects.shift(before[1], after[1]),
        "quartile_shifts": [effects.shift(a, b) for a, b in zip(before, after, strict=True)],
        "mean_reference": f.mean,
        "sd_reference": f.sd,
        "largest_gap": gap.statistic,
        "at": at,
        "at_side": side,
        "direction": "up" if gap.sign > 0 else "down",
        "below_range": int(second[0]) / n,
        "above_range": int(second[-1]) / n,
        "psi": ranks.psi(*groups),
        "jensen_shannon": ranks.jensen_shannon(*groups),
        "resolution": ranks.resolution(first),
    }


def _numbers_in_words(w: Comparison, gap: ranks.Gap) -> str:
    f, edges = w.feature, w.feature.edges
    first, second = f.counts[: f.cells], w.counts[: f.cells]
    before, after = figures.pair(*(ranks.quantile(edges, c, 0.5) for c in (first, second)))
    what = f"{f.name}: median {before} -> {after}{w.words}{_where(w, gap)}"
    low, high = (float(second[i] / second.sum()) for i in (0, -1))
    if low >= BEYOND:
        what += f", {figures.share(low)} below the reference's lowest {figures.number(edges[0])}"
    if high >= BEYOND:
        what += f", {figures.share(high)} above the reference's highest {figures.number(edges[-1])}"
    return what


def _where(w: Comparison, gap: ranks.Gap) -> str:
    points = figures.number(100 * gap.statistic)
    if w.ranked:
        told = _of_ranks(w.ranked[0], gap)
        return (
            f", largest gap {points} points of the ranks within the hour, at "
            f"{figures.share(float(str(told['at'])))} of them"
        )
    where, side = ranks.place(w.feature.edges, gap.code)
    unseen = _unseen(ranks.resolution(w.feature.counts[: w.feature.cells]))
    return f", largest gap {points} points {side} {figures.number(where)}{unseen}"


def _unseen(resolution: float) -> str:
    """What a distance may lack, where that is enough to be seen."""
    if resolution < UNSEEN:
        return ""
    return f" (up to {figures.number(100 * resolution)} more inside one bin)"


def chi_square(w: Comparison) -> Measure:
    """Chi-square over categories; effect: the largest change of one category's share."""
    f = w.feature
    first, second = f.counts[: f.cells + 1], w.counts[: f.cells + 1]
    test = categories.chi_square(first, second)
    change = categories.largest_change(first, second)
    moved = change.after - change.before
    floor = w.settings.effect_floors.get(w.called, w.settings.effect_floor_share)
    effect = effects.of_share("largest share change", moved, floor)
    gone = [f.names[i] for i in categories.vanished(first[:-1], second[:-1])]
    details: dict[str, Detail] = {
        "category": _name(f, change.place),
        "share_reference": change.before,
        "share": change.after,
        "direction": effects.direction(change.before, change.after),
        "new": [*w.new_names],
        "new_share": int(second[-1]) / int(second.sum()),
        "gone": [*gone],
        "absent": int(((first[:-1] > 0) & (second[:-1] == 0)).sum()),
        "psi": ranks.psi(first, second),
        "jensen_shannon": ranks.jensen_shannon(first, second),
        "method": test.method,
        "cells": test.cells,
        "pooled": test.pooled,
    }
    details |= _of_all(w, effect)
    shares = figures.shares(change.before, change.after)
    what = f"{f.name}: share of {_name(f, change.place)} {shares}{w.words}"
    what += _listed("new", w.new_names) + _listed("gone", gone)
    n, m = int(second.sum()), int(first.sum())
    return Measure("chi-square", w, n, m, what, test.statistic, test.p_value, effect, details)


def _name(f: FeatureReference, place: int) -> str:
    return f.names[place] if place < len(f.names) else OTHER


def _listed(word: str, names: Sequence[str]) -> str:
    return f"; {word}: {figures.listed(names, NAMED)}" if names else ""


def missing(w: Comparison) -> Measure:
    """Values that are not there: missing, or infinite.

    Chi-square, or Fisher's test where few are expected; effect: the change of their share.
    """
    f = w.feature
    known, live = (unusable(f, c) for c in (f.counts, w.counts))
    n, m = int(w.counts.sum()), f.rows
    before, after = sum(known.values()), sum(live.values())
    test = categories.chi_square(np.array([before, m - before]), np.array([after, n - after]))
    moved = after / n - before / m
    effect = effects.of_share("change of missing share", moved, w.settings.effect_floor_data)
    changes = [
        f"{word} {figures.shares(known[word] / m, live[word] / n)}"
        for word in live
        if known[word] or live[word]
    ]
    what = f"{f.name}: " + (", ".join(changes) or "nothing missing")
    details: dict[str, Detail] = {f"{k} (share)": x / n for k, x in live.items()}
    details |= {f"{k} (reference's share)": x / m for k, x in known.items()}
    details |= {"severity": effects.severity(effect)}
    details |= {"direction": effects.direction(before / m, after / n)}
    return Measure("missing", w, n, m, what, test.statistic, test.p_value, effect, details)


def unusable(f: FeatureReference, counts: Ints) -> dict[str, int]:
    """How many values are missing or infinite."""
    found = {"missing": int(counts[f.missing_at])}
    return found | ({"infinite": int(counts[-2])} if f.kind == "number" else {})
