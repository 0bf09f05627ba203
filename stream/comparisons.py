"""Comparisons: every segment of a window with the reference's rows of that segment.

Each segment has a share of the budget that is fixed by how many of them the reference has, and its
checks are judged together within it, as those of the whole are within theirs: by the calibration
of the segment's own rows, where these have times. So all of them together keep the budget.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import msgspec

from stream import effects, figures, soundness
from stream.checks import Against, check_share
from stream.events import Reading, Segment
from stream.gradings import SURE, graded
from stream.importances import UNMEASURED, weight_of
from stream.judgements import estimated, outside_detectors
from stream.layouts import SEGMENT
from stream.leisure import ALWAYS, Leisure
from stream.previous import Previous
from stream.references import Reference
from stream.segments import Key, called, part_of_each, watched
from stream.settings import ModelSettings, Task
from stream.shares import Share
from stream.tallies import Tally

NAMED = 3  # features of a segment named beside the first, and segments in a verdict
ORDER = ("no-reference", "not-enough-data", "ok", "small", "insignificant", "moved")


def compared(
    reference: Reference,
    share: Share,
    level: float,
    settings: ModelSettings,
    leisure: Leisure = ALWAYS,
    window_s: int = 0,
    against: Against | None = None,
) -> list[Reading]:
    """The worst reading of each segment's inputs, outputs and data, worst segments first.

    level: of the family of all segments together.
    """
    found: list[Reading] = []
    segments = watched(reference, settings)
    for key, own in segments.items():
        allotted = _allotted(reference, own, settings)
        before = against
        if isinstance(against, Previous):
            before = dataclasses.replace(against, share=against.share.segment(key))
        readings = check_share(
            own, share.segment(key), level / len(segments), allotted, leisure, window_s, before
        )
        found += _worst(key, readings, reference)
    return _worst_first(found, reference)


def graded_apart(
    reference: Reference | None,
    tallies: Mapping[Key, Tally],
    level: float,
    settings: ModelSettings,
    task: Task,
    window_s: int,
) -> list[Reading]:
    """The worst metric of each segment whose quality the reference knows, worst segments first.

    The others' values are in its details. tallies: see `stream.sections`.
    level: of the family of all segments together.
    """
    if reference is None:
        return []
    found: list[Reading] = []
    several = len(watched(reference, settings))
    for key, tally in tallies.items():
        own = reference.segments[key]
        allotted = _allotted(reference, own, settings)
        readings = graded(allotted, own, tally, task, level / several, window_s)
        metrics = [r for r in readings if r.check != SURE]
        found += _worst(key, metrics or [_unlabelled(own)], reference)
    return _worst_first(found, reference)


def _unlabelled(own: Reference) -> Reading:
    name = min(own.quality)
    reason = f"{name}: no labelled predictions"
    return Reading(
        check=name, subject=name, role="quality", n=0, verdict="not-enough-data", reason=reason
    )


def _allotted(whole: Reference, own: Reference, settings: ModelSettings) -> ModelSettings:
    """The settings with what of the budget one segment may spend; its estimate spends nothing."""
    month = settings.false_alarms_per_month * outside_detectors(whole, settings)
    month *= part_of_each(whole, settings)
    graded_too = settings.expects_truth and whole.quality and not settings.promises_quality
    if graded_too and not own.quality:
        month /= 2  # quality is judged where it can be, with the other half
    return dataclasses.replace(settings, false_alarms_per_month=month, detectors=(), estimate="off")


def _worst(key: Key, readings: Iterable[Reading], whole: Reference) -> list[Reading]:
    kept = soundness.without_notices(readings)
    found = []
    for role in ("input", "output", "data", "quality"):
        own = [r for r in kept if r.role == role]
        if own:
            found.append(_of_segment(key, _worst_first(own, whole)))
    return found


def _worst_first(readings: Iterable[Reading], whole: Reference) -> list[Reading]:
    return sorted(readings, key=lambda r: (-ORDER.index(r.verdict), -_weight(r, whole)))


def _of_segment(key: Key, own: list[Reading]) -> Reading:
    """The first of a segment's readings, which tells of the others that moved too."""
    first = own[0]
    also = [r.subject for r in own[1:] if r.verdict == "moved"]
    others = {r.subject: r.statistic for r in own[1:] if r.role == "quality"}
    return msgspec.structs.replace(
        first,
        segment=Segment(name=key[0], value=key[1]),
        reason=f"{called(key)}: {first.reason}{_also(also)}",
        details=others | first.details | ({"also_moved": [*also]} if also else {}),
    )


def _also(names: list[str]) -> str:
    return f"; moved there too: {figures.listed(names, NAMED)}" if names else ""


def _weight(reading: Reading, reference: Reference) -> float:
    severity = effects.severity(reading.effect) if reading.effect else UNMEASURED
    return severity * weight_of(reference.weights, reading.subject)


def alone(readings: Iterable[Reading], segments: Iterable[Reading]) -> str:
    """Which segments moved, where the whole did not: in words. "" where the whole did, or none."""
    if any(r.verdict == "moved" for r in soundness.without_notices(readings)):
        return ""
    moved = [words(r.segment) for r in segments if r.verdict == "moved" and r.segment]
    names = figures.listed([*dict.fromkeys(moved)], NAMED)
    return f"This is so of {names} alone, not of all rows together." if moved else ""


def words(segment: Segment) -> str:
    """A segment of a reading in words."""
    return called((segment.name, segment.value))


def notes(reference: Reference, share: Share, settings: ModelSettings) -> list[str]:
    """What an evaluation says of segments: what has no reference, and rows that are in none."""
    found = []
    for name in settings.segments:
        dimension = reference.dimensions.get(name)
        if dimension is None:
            found.append(
                f"segments: the reference has none by {name!r}; make it again with them "
                "(`driftline reference --segments`)"
            )
            continue
        counts = share.counts(name, SEGMENT)
        other, none = (int(n) for n in counts[dimension.cells :])
        told = [f"{other:,} rows of values other than its {len(dimension.names)}"] * (other > 0)
        told += [f"{none:,} rows without one"] * (none > 0)
        if told:
            found.append(f"segments by {name!r}: {' and '.join(told)} are in no segment")
    own = watched(reference, settings).values()
    if own and estimated(reference, settings) and not any(one.odds for one in own):
        found.append(
            "segments: the reference does not say what scores meant in them, so their accuracy is "
            "not estimated; make it again (`driftline reference --segments`)"
        )
    return found
