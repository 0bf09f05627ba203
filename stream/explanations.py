"""Explanations: what of a model is watched, at which levels, and what that makes one expect."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

import msgspec
import numpy as np
from scipy import special

from stream import effects, figures, minimums
from stream.calibrations import promise
from stream.columns import Floats, Ints
from stream.evaluations import level_of
from stream.features import FeatureReference, Role
from stream.hours import SEASONS
from stream.judgements import allowed_of, beside
from stream.pulses import causes, laws_of, level_of_pulses, month_of
from stream.quality import METRICS
from stream.references import Reference
from stream.seasons import spread, unfit
from stream.settings import HOUR_S, ModelSettings
from stream.vectors import left_out

SHIFTS_SD = (0.1, 0.25, 0.5, 1.0, 2.0)
NAMED = 8  # features named in a line
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


class WindowExplained(msgspec.Struct, frozen=True, kw_only=True):
    """Windows of one length. rows: usual ones; None: not known yet.

    by_chance_a_month: false alarms about numbers that calibration makes one expect; None: not
    calibrated. gap: what a number's largest gap must exceed, in the middle of all numbers.
    rows_needed: to find a change as large as its floor, in the middle too; with fewer a window in
    which nothing moved is "not enough data". None: no such number follows from the settings.
    inflation: of the variance, from and to. reference_windows: how many the reference is long.
    """

    window_s: int
    rows: int | None
    by_chance_a_month: float | None
    gap: float | None
    rows_needed: int | None
    inflation: tuple[float, float] | None
    reference_windows: int | None
    found: list[Found]


class DetectorExplained(msgspec.Struct, frozen=True, kw_only=True):
    """A detector whose pulses are judged by their number in a window of `evidence_s`.

    usual: pulses by chance in such a window; alarm_from: how many are an alarm, `by_chance_a_month`
    times a month at most.
    """

    name: str
    evidence_s: int
    usual: float
    alarm_from: int
    by_chance_a_month: float


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One model version. watched: what is looked at, by check. promised: whether the budget is.

    evaluations_a_month: of windows, whatever their length. promises: what the reference's length
    and order allow, for each length of windows. lacks: what else it lacks. compared_with: which of
    its rows. burn_in_s: after the first prediction, for which nobody is told.
    """

    model: str
    version: str
    reference_id: str | None
    reference_rows: int
    watched: dict[str, list[str]]
    false_alarms_per_month: float
    promised: bool
    evaluations_a_month: float
    level: float
    windows: list[WindowExplained]
    detectors: list[DetectorExplained] = []
    promises: list[str]
    lacks: list[str]
    compared_with: str
    burn_in_s: int


def explain(
    model: str,
    version: str,
    reference: Reference | None,
    settings: ModelSettings,
    rows_a_pane: float | None = None,
) -> Explanation:
    """What there is to say. rows_a_pane: usual ones of live panes; None where not known yet."""
    calibration = reference.calibration if reference else None
    promised, promises = promise(calibration, settings)
    if reference is None:
        promises = [f"no reference: the first {settings.reference_rows:,} rows will stand for one"]
    if rows_a_pane is None and calibration is not None:
        rows_a_pane = calibration.rows_a_pane
    windows = [_window(reference, settings, w, rows_a_pane) for w in settings.windows_s]
    return Explanation(
        model=model,
        version=version,
        reference_id=reference.id if reference else None,
        reference_rows=reference.rows if reference else 0,
        watched=_watched(reference, settings),
        false_alarms_per_month=settings.false_alarms_per_month,
        promised=promised,
        evaluations_a_month=settings.evaluations_a_month,
        level=level_of(settings) * beside(reference, settings),
        windows=windows,
        detectors=_detectors(reference, settings, rows_a_pane),
        promises=promises,
        lacks=_lacks(reference, settings),
        compared_with=_compared_with(settings),
        burn_in_s=settings.burn_in_s,
    )


def _compared_with(settings: ModelSettings) -> str:
    if settings.reference != "fixed":
        return (
            "inputs and outputs: the window before, with the reference's units and floors; quality "
            "and detectors: all rows of the reference"
        )
    if settings.seasonality == "none":
        return "all rows of the reference"
    day = settings.seasonality.removeprefix("hour-of-")
    return (
        f"inputs and outputs: the reference's rows of the same hours of the {day} (UTC), numbers "
        "by their rank among these; quality and detectors: all rows"
    )


def _watched(reference: Reference | None, settings: ModelSettings) -> dict[str, list[str]]:
    if reference is None:
        return {}
    known = [(_called(reference, role, f), f) for role, f in reference.watched(settings.ignore)]
    quality = dict.fromkeys([*reference.quality, *settings.objectives])
    found = {
        "ks": [name for name, f in known if f.kind == "number"],
        "chi-square": [name for name, f in known if f.kind == "category"],
        "missing": [name for name, f in known if f.missing],
        "quality": [name for name in quality if name in METRICS] * settings.expects_truth,
        "detectors": [f"{d.name} of {d.signal}" for d in settings.detectors],
    }
    return {check: [*dict.fromkeys(names)] for check, names in found.items() if names}


def _called(reference: Reference, role: Role, f: FeatureReference) -> str:
    name = reference.vectors.unit(f.name, role)
    if name == f.name:
        return effects.key(name, role)
    return f"{name} ({reference.vectors.size(name)} numbers)"


def _detectors(
    reference: Reference | None, settings: ModelSettings, rows_a_pane: float | None
) -> list[DetectorExplained]:
    calibration = reference.calibration if reference else None
    if calibration is None or rows_a_pane is None:
        return []
    rows = rows_a_pane * settings.evidence_s / settings.pane_s
    level = level_of_pulses(calibration.detectors, settings)
    return [
        DetectorExplained(
            name=cause.removeprefix("detector:").replace(":", " of "),
            evidence_s=law.evidence_s,
            usual=law.expected(rows),
            alarm_from=law.alarm_from(level, rows),
            by_chance_a_month=month_of(calibration.detectors, settings),
        )
        for cause, law in laws_of(calibration.detectors, settings).items()
    ]


def _lacks(reference: Reference | None, settings: ModelSettings) -> list[str]:
    """What is judged without calibration though the reference has a time order, and the like."""
    found = [why] if reference and (why := unfit(reference, settings.seasonality)) else []
    watched = _watched(reference, settings)
    if reference is not None and reference.calibration is not None:
        known = reference.calibration
        plain = [name for name in ("missing", "quality") if name in watched]
        plain = [name for name in plain if not getattr(known, name)]
        if plain:
            found.append(f"{', '.join(plain)}: rows of a window are taken for independent")
        judged = laws_of(known.detectors, settings)
        if len(judged) < len(settings.detectors):
            notices = [c for c in causes(settings) if c not in judged]
            found.append(f"{', '.join(notices)}: each pulse is a notice, how often is not known")
        if reference.calibration.days == 0:
            found.append("less than a day of order: a daily season is not known")
    found += _too_short(reference, settings) if reference is not None else []
    if settings.expects_truth and reference is not None and "quality" not in watched:
        found.append("quality on the reference is not known, and no objective is set")
    return found


def _too_short(reference: Reference, settings: ModelSettings) -> list[str]:
    """Numbers for which no window has rows enough, because the reference has not."""
    short = {
        limit.feature.name
        for window_s in settings.windows_s
        for limit in _limits(reference, settings, window_s, reference.rows)
        if limit.needed is not None and limit.needed >= limit.feature.rows
    }
    if not short:
        return []
    names = figures.listed(sorted(short), NAMED)
    return [
        f"{reference.rows:,} rows of reference are too few to tell a change as large as the effect "
        f"floor from chance, in however long a window: {names}"
    ]


def _window(
    reference: Reference | None, settings: ModelSettings, window_s: int, rows_a_pane: float | None
) -> WindowExplained:
    panes = window_s // settings.pane_s
    rows = None if rows_a_pane is None else round(rows_a_pane * panes)
    calibration = reference.calibration if reference else None
    limits = _limits(reference, settings, window_s, rows) if reference and rows else []
    allowed = allowed_of(reference, settings, window_s) if reference else None
    inflations = [limit.inflation for limit in limits]
    needed = [limit.needed for limit in limits if limit.needed is not None]
    return WindowExplained(
        window_s=window_s,
        rows=rows,
        by_chance_a_month=allowed.expected(allowed.threshold) if allowed else None,
        gap=statistics.median(limit.gap for limit in limits) if limits else None,
        rows_needed=statistics.median_high(needed) if needed else None,
        inflation=(min(inflations), max(inflations)) if allowed and limits else None,
        reference_windows=calibration.windows_of_reference(window_s) if calibration else None,
        found=[_found(limits, shift, panes, settings) for shift in SHIFTS_SD] if limits else [],
    )


class _Limit(msgspec.Struct, frozen=True):
    """From which gap on a number has moved, and by how much chance makes the gap vary."""

    feature: FeatureReference
    floor: float
    gap: float
    spread: float
    inflation: float
    needed: int | None


def _limits(
    reference: Reference, settings: ModelSettings, window_s: int, rows: int
) -> Sequence[_Limit]:
    known, allowed = reference.calibration, allowed_of(reference, settings, window_s)
    checked = sum(map(len, _watched(reference, settings).values()))

    def plain(one_of: int) -> float:
        level = level_of(settings) * beside(reference, settings)
        return float(special.kolmogi(level / max(1, checked) / one_of) ** 2)

    found = []
    for name, f in reference.features.items():
        if f.kind != "number" or left_out(name, settings.ignore) or f.sd <= 0:
            continue
        if settings.seasonality == "none":
            f = dataclasses.replace(f, hours=None)  # noqa: PLW2901 - nobody asks for them
        inflation = known.inflation(name, "input", window_s, rows) if known and allowed else None
        one_of = reference.vectors.size(reference.vectors.unit(name, "input"))
        t = allowed.threshold if allowed and inflation else plain(one_of)
        there = f.rows * _share_of_hours(settings, window_s)
        there = rows if settings.reference != "fixed" else there
        n = rows * there / (rows + there)
        size = inflation or 1.0
        own = effects.own_floor(name, settings)
        floor = settings.effect_floor_sd if own is None else own / f.sd
        limit = math.sqrt(t * size / n), math.sqrt(size / 4 / n), size
        found.append(_Limit(f, floor, *limit, _needed(f, floor, (t, size, there), settings)))
    return found


def _share_of_hours(settings: ModelSettings, window_s: int) -> float:
    """Of the reference's rows, those that such a window is compared with."""
    hours = SEASONS[settings.seasonality]
    return min(1.0, max(1.0, window_s / HOUR_S) / hours) if hours else 1.0


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


def _found(limits: Sequence[_Limit], shift_sd: float, panes: int, settings: ModelSettings) -> Found:
    seconds: list[int | None] = []
    for against in (MEDIAN, MOST):
        times = [_panes_until(limit, shift_sd, panes, against) for limit in limits]
        middle = statistics.median_low(times)
        seconds.append(round(middle) * settings.pane_s if middle <= panes else None)
    matters = statistics.median(limit.floor for limit in limits) <= shift_sd
    return Found(shift_sd=shift_sd, median_s=seconds[0], p90_s=seconds[1], matters=matters)


def _panes_until(limit: _Limit, shift_sd: float, panes: int, against: float) -> float:
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
