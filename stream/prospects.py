"""Prospects: how soon windows of some length would tell that a number has moved."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import msgspec
import numpy as np
from scipy import special

from stream import effects, minimums
from stream.columns import Floats, Ints
from stream.evaluations import level_of
from stream.features import FeatureReference
from stream.hours import share_of_hours
from stream.judgements import allowed_of, beside
from stream.references import Reference
from stream.seasons import spread
from stream.settings import ModelSettings
from stream.vectors import left_out

SHIFTS_SD = (0.1, 0.25, 0.5, 1.0, 2.0)
MEDIAN, MOST = 0.0, 1.2816  # how many deviations chance may be against it: one of two, one of ten


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """How soon a lasting shift of one number is told. None: not by windows of this length.

    median_s, p90_s: in half of all cases, and in nine of ten, for the number in the middle.
    matters: whether it reaches the effect floor; a smaller one is said to be small.
    """

    shift_sd: float
    median_s: int | None
    p90_s: int | None
    matters: bool


class Limit(msgspec.Struct, frozen=True):
    """From which gap on a number has moved, and by how much chance makes the gap vary."""

    feature: FeatureReference
    floor: float
    gap: float
    spread: float
    inflation: float
    needed: int | None


def limits(
    reference: Reference, settings: ModelSettings, window_s: int, rows: int, checked: int
) -> Sequence[Limit]:
    """Of each number. rows: of a window. checked: how many share its level."""
    known, allowed = reference.calibration, allowed_of(reference, settings, window_s)

    def plain(one_of: int) -> float:
        level = level_of(settings) * beside(reference, settings)
        return float(special.kolmogi(level / max(1, checked) / one_of) ** 2)

    told = []
    for name, f in reference.features.items():
        if f.kind != "number" or left_out(name, settings.ignore) or f.sd <= 0:
            continue
        if settings.seasonality == "none":
            f = dataclasses.replace(f, hours=None)  # noqa: PLW2901 - nobody asks for them
        inflation = known.inflation(name, "input", window_s, rows) if known and allowed else None
        one_of = reference.vectors.size(reference.vectors.unit(name, "input"))
        t = allowed.threshold if allowed and inflation else plain(one_of)
        there = f.rows * share_of_hours(settings.seasonality, window_s)
        there = rows if settings.reference != "fixed" else there
        n = rows * there / (rows + there)
        size = inflation or 1.0
        own = effects.own_floor(name, settings)
        floor = settings.effect_floor_sd if own is None else own / f.sd
        limit = math.sqrt(t * size / n), math.sqrt(size / 4 / n), size
        told.append(Limit(f, floor, *limit, _needed(f, floor, (t, size, there), settings)))
    return told


def _needed(
    f: FeatureReference, floor: float, law: tuple[float, float, float], settings: ModelSettings
) -> int | None:
    """law: the threshold of the squared statistic, the inflation, and the reference's rows."""
    threshold, inflation, there = law
    level = float(special.kolmogorov(math.sqrt(threshold)))
    if not (settings.power and floor and 0 < level < 1):
        return None
    rows = minimums.for_gap(minimums.gap_of_shift(f, floor * f.sd), level, settings.power)
    return max(minimums.in_window(rows * inflation, there), settings.minimum_rows)


def prospect(known: Sequence[Limit], shift_sd: float, panes: int, settings: ModelSettings) -> Found:
    """How soon a shift is told. panes: of a window."""
    seconds: list[int | None] = []
    for against in (MEDIAN, MOST):
        times = [_panes_until(limit, shift_sd, panes, against) for limit in known]
        middle = statistics.median_low(times)
        seconds.append(round(middle) * settings.pane_s if middle <= panes else None)
    matters = statistics.median(limit.floor for limit in known) <= shift_sd
    return Found(shift_sd=shift_sd, median_s=seconds[0], p90_s=seconds[1], matters=matters)


def _panes_until(limit: Limit, shift_sd: float, panes: int, against: float) -> float:
    """Panes after which a shift is told; more than there are, where it is not.

    A window that is full of it to a share shows that share of the gap, and of the effect.
    """
    gap = gap_of(limit.feature, shift_sd)
    if gap <= 0 or limit.floor > shift_sd:
        return math.inf
    share = max((limit.gap + against * limit.spread) / gap, limit.floor / shift_sd)
    return max(1.0, float(math.ceil(share * panes)))


def gap_of(f: FeatureReference, shift_sd: float) -> float:
    """The largest gap that moving all values up by a part of their deviation makes.

    By hour, in the mean of the hours.
    """
    if f.hours is not None:
        hours = [i for i, rows in enumerate(f.hours.values.tolist()) if rows]
        gaps = [_gap(f, spread(f, f.hours, hour), shift_sd) for hour in hours]
        return statistics.fmean(gaps) if gaps else 0.0
    return _gap(f, f.counts, shift_sd)


def _gap(f: FeatureReference, counts: Floats | Ints, shift_sd: float) -> float:
    up_to = np.cumsum(counts[: f.cells])
    whole = np.asarray(up_to[1::2] / max(1.0, float(up_to[-1])), float)  # up to and with each edge
    before = np.searchsorted(f.edges, f.edges - shift_sd * f.sd, "right")
    return float(np.abs(whole - np.concatenate([[0.0], whole])[before]).max(initial=0.0))
