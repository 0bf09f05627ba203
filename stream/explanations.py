"""Explanations: what of a model is watched, at which levels, and what that makes one expect."""

import msgspec

from stream import effects, figures, judgements, labelling
from stream.calibrations import promise, promises_of
from stream.disparities import RATIO
from stream.evaluations import level_of
from stream.features import FeatureReference, Role
from stream.judgements import beside, wholes
from stream.objectives import OF_GROUPS
from stream.outlooks import WindowExplained, outlook
from stream.prospects import limits
from stream.pulses import causes, laws_of, level_of_pulses, month_of
from stream.quality import METRICS
from stream.references import Reference
from stream.seasons import unfit
from stream.segments import part_of_each
from stream.settings import DAY_S, ModelSettings
from stream.stamps import span
from stream.stints import ENOUGH, MOST
from stream.vectors import left_out
from stream.wholes import LEAST_ROWS, MOST_NUMBERS

NAMED = 8  # features named in a line


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
    its rows. burn_in_s: after the first prediction, for which nobody is told. floors: changes that
    matter, by what changes: a "number", in reference deviations, a "category" and "data", in shares
    of rows, "quality". own_floors: of features in their own unit. weights: of features, heaviest
    first, where the reference has any. segments: which are watched, by name. labels: what of
    the labels themselves is.
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
    floors: dict[str, float] = {}
    own_floors: dict[str, float] = {}
    weights: dict[str, float] = {}
    segments: list[str] = []
    labels: list[str] = []


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
    checked = _checked(reference, settings)
    windows = [outlook(reference, settings, w, rows_a_pane, checked) for w in settings.windows_s]
    further = [w.reach_s for w in windows if w.reach_s > w.window_s]
    if calibration is not None and further:
        kept, more = promises_of(calibration, settings, further)
        promised, promises = promised and kept, [*promises, *more]
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
        floors={
            "number": settings.effect_floor_sd,
            "category": settings.effect_floor_share,
            "data": settings.effect_floor_data,
            "quality": settings.effect_floor_quality,
        },
        own_floors=dict(settings.effect_floors),
        weights=_weights(reference),
        segments=_segments(reference, settings),
        labels=_labels(settings),
    )


def _segments(reference: Reference | None, settings: ModelSettings) -> list[str]:
    """Which values of each name are watched, and what they may spend."""
    found = []
    for name in settings.segments:
        dimension = reference.dimensions.get(name) if reference is not None else None
        if reference is None or dimension is None:
            found.append(f"{name}: not watched, the reference has none by this name")
            continue
        part = figures.share(part_of_each(reference, settings))
        values = figures.listed(dimension.names, NAMED)
        found.append(f"{name}: {values}; each by itself, with {part} of the budget")
        found += [_gaps(name, settings)] if name in settings.protected else []
    return found


def _gaps(name: str, settings: ModelSettings) -> str:
    """What is promised of the gaps between protected groups."""
    promised = [
        f"{metric} {'at least' if metric == RATIO else 'at most'} {figures.number(goal.value)}"
        for metric in OF_GROUPS
        if (goal := settings.promised(metric)) is not None
    ]
    said = figures.listed(promised, NAMED) if promised else "told and not judged, for no objective"
    return f"{name}: protected, gaps between its groups: {said}"


def _weights(reference: Reference | None) -> dict[str, float]:
    known = reference.weights if reference else {}
    return dict(sorted(known.items(), key=lambda pair: (-pair[1], pair[0])))


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


def _labels(settings: ModelSettings) -> list[str]:
    if not (settings.watch_labels and settings.expects_truth):
        return []
    length_s = max(*settings.windows_s, DAY_S)
    spare = figures.share(judgements.LABELS * settings.false_alarms_per_month)
    return [
        "that they stop though due: for longer than ever, once known for 7 times that and 8 days",
        f"their delay ({figures.number(labelling.TIMES)} times as long or short) and the mix of "
        f"their classes ({figures.number(labelling.ODDS)} times the odds): each {span(length_s)} "
        f"beside the {ENOUGH} to {MOST} before, predictions of equal age compared; by chance in "
        f"{spare} of months",
    ]


def _watched(reference: Reference | None, settings: ModelSettings) -> dict[str, list[str]]:
    if reference is None:
        return {}
    known = [(_called(reference, role, f), f) for role, f in reference.watched(settings.ignore)]
    promised = [name for name in settings.objectives if name not in OF_GROUPS]
    quality = dict.fromkeys([*reference.quality, *promised])
    found = {
        "ks": [name for name, f in known if f.kind == "number"],
        "mmd": wholes(reference, settings),
        "chi-square": [name for name, f in known if f.kind == "category"],
        "missing": [name for name, f in known if f.missing],
        "quality": [name for name in quality if name in METRICS or name in promised]
        * settings.expects_truth,
        "detectors": [f"{d.name} of {d.signal}" for d in settings.detectors],
    }
    return {check: [*dict.fromkeys(names)] for check, names in found.items() if names}


def _checked(reference: Reference | None, settings: ModelSettings) -> int:
    return sum(map(len, _watched(reference, settings).values()))


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
    found += _apart(reference, settings) if reference is not None else []
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


def _apart(reference: Reference, settings: ModelSettings) -> list[str]:
    """Vectors that are compared number by number alone."""
    known = wholes(reference, settings)
    names = [
        n for n in reference.vectors.elements if n not in known and not left_out(n, settings.ignore)
    ]
    if not names or not settings.whole_vectors:
        return []
    why = (
        "the reference has no wholes: it is of an earlier release or of raw values, has fewer than "
        f"{LEAST_ROWS} rows that lack nothing, or vectors of more than {MOST_NUMBERS:,} numbers"
    )
    if settings.seasonality != "none":
        why = f"hours are compared, by seasonality = {settings.seasonality}"
    return [f"{figures.listed(names, NAMED)}: not compared as a whole, for {why}"]


def _too_short(reference: Reference, settings: ModelSettings) -> list[str]:
    """Numbers for which no window has rows enough, because the reference has not."""
    checked = _checked(reference, settings)
    short = {
        limit.feature.name
        for window_s in settings.windows_s
        for limit in limits(reference, settings, window_s, reference.rows, checked)
        if limit.needed is not None and limit.needed >= limit.feature.rows
    }
    if not short:
        return []
    names = figures.listed(sorted(short), NAMED)
    return [
        f"{reference.rows:,} rows of reference are too few to tell a change as large as the effect "
        f"floor from chance, in however long a window: {names}"
    ]
