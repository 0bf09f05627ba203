"""Causes: which readings of an evaluation may become alerts, and under which name."""

from collections.abc import Mapping

from stream import comparisons, segments, soundness
from stream.events import Reading
from stream.gradings import SURE
from stream.settings import ModelSettings
from stream.stamps import short

LET_GO = "let_go"  # a detail of readings: it is not looked at any more


def by_cause(readings: list[Reading], suffix: str) -> Mapping[str, Reading]:
    """Readings that may become alerts, by cause. suffix tells windows of one model apart.

    Missing answers are told apart from a missing feature of the same name: an output's checks
    follow each other. A feature's data have one cause, whatever is wrong with them, and so have
    the inputs of a segment, whichever of them moved.
    """
    found: dict[str, Reading] = {}
    role = "input"
    for reading in soundness.without_notices(readings):
        if reading.segment:
            of = (reading.segment.name, reading.segment.value)
            found[segments.cause_of(reading.role, of) + suffix] = reading
            continue
        role = reading.role if reading.role != "data" else role
        name = "output:" if reading.role == "data" and role == "output" else ""
        if reading.check != SURE or reading.role != "quality":
            cause = f"{reading.role}:{name}{reading.subject}{suffix}"
            known = found.get(cause)
            found[cause] = reading if known is None else soundness.telling(known, reading)
    return found


def suffix_of(settings: ModelSettings, window_s: int) -> str:
    """What tells the alerts of a window from those of the model's other windows."""
    return f"@{short(window_s)}" if len(settings.windows_s) > 1 else ""


def gone_reading(last: Reading, rows: int) -> Reading:
    """What stands for a reading that a window does not have any more.

    Missing values are read only where there are some; all else is gone with its reference, or
    with what was promised of it.
    """
    reason = f"{last.subject}: not in the reference any more, not checked"
    if last.role == "quality":
        reason = f"{last.subject}: not judged any more"
    if last.role == "data":
        words = "no words among the numbers" if last.check == "type" else "nothing missing"
        reason = f"{last.subject}: {words}"
    of = f"{comparisons.words(last.segment)}: " if last.segment else ""
    return Reading(
        check=last.check,
        subject=last.subject,
        role=last.role,
        n=rows,
        verdict="ok",
        reason=of + reason,
        details={} if last.role == "data" else {LET_GO: 1},
        segment=last.segment,
    )
